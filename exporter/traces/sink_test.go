package traces

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// collected is an otlptrace.Client that keeps the spans by name.
type collected struct {
	mu    sync.Mutex
	spans map[string]*tracepb.Span
}

func (c *collected) Start(context.Context) error { return nil }
func (c *collected) Stop(context.Context) error  { return nil }

func (c *collected) UploadTraces(_ context.Context, batches []*tracepb.ResourceSpans) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rs := range batches {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				c.spans[s.GetName()] = s
			}
		}
	}
	return nil
}

// TestDecisionIsInsideItsConnection has a connection stop before the time of its answer was taken.
func TestDecisionIsInsideItsConnection(t *testing.T) {
	client := &collected{spans: map[string]*tracepb.Span{}}
	sink, err := NewSink(t.Context(), client, 10, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	epoch := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	sink.Take(track.Finished{C: &track.Connection{
		Source: "a", ID: "Proxy-A-OID-1", Reason: track.ReasonStop,
		StartedAt: epoch.Add(time.Microsecond), StoppedAt: epoch.Add(2 * time.Microsecond),
		Stop: &event.Stop{App: "http1"},
		Decision: &track.Decision{
			Source: "a", Verdict: event.Accept, Received: epoch, Answered: epoch.Add(5 * time.Microsecond),
		},
	}})
	if len(sink.Commit()) != 2*8 {
		t.Error("the receipt is not for two spans")
	}
	if err := sink.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	root, child := client.spans["http1"], client.spans[nameAccess]
	if root == nil || child == nil {
		t.Fatalf("spans are %v", client.spans)
	}
	if child.GetStartTimeUnixNano() < root.GetStartTimeUnixNano() || child.GetEndTimeUnixNano() > root.GetEndTimeUnixNano() {
		t.Errorf("the decision lasts from %d to %d, its connection from %d to %d", child.GetStartTimeUnixNano(),
			child.GetEndTimeUnixNano(), root.GetStartTimeUnixNano(), root.GetEndTimeUnixNano())
	}
}

// TestRejectedTrace has a transparent proxy reject: of the connection there is an info with the echo, and the
// decision. Its trace says who was kept from what, and why.
func TestRejectedTrace(t *testing.T) {
	const label = "tcp_10.20.0.1:40000+tcp_192.0.2.1:25"
	epoch := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for name, dryRun := range map[string]string{"reject": "", "dry-run reject": "feed"} {
		t.Run(name, func(t *testing.T) {
			client := &collected{spans: map[string]*tracepb.Span{}}
			sink, err := NewSink(t.Context(), client, 10, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			tracker := track.New(track.DefaultOptions(), sink.Take)
			want := map[string]string{
				"smithproxy.access.verdict": "reject", "smithproxy.access.rule": "mail", "client.address": "10.20.0.1",
				"server.address": "192.0.2.1", "server.port": "25", "smithproxy.close.reason": "rejected",
				"smithproxy.access.dry_run": "", "smithproxy.access.dry_run_rule": "",
			}
			d := track.Decision{
				Source: "a", ID: "d1", Label: label, Policy: -1, Verdict: event.Reject, Rule: "mail",
				Received: epoch, Answered: epoch.Add(time.Millisecond),
			}
			if dryRun != "" {
				d.Verdict, d.Rule, d.DryRunRule = event.Accept, "default", dryRun
				want["smithproxy.access.verdict"], want["smithproxy.access.rule"] = "accept", "default"
				want["smithproxy.access.dry_run"], want["smithproxy.access.dry_run_rule"] = "true", "feed"
				want["smithproxy.close.reason"] = "stop"
			}
			tracker.Decide(d)
			if dryRun != "" {
				tracker.Apply(event.Event{Action: event.ActionStart, Source: "a", ID: "Proxy-A-OID-1", Payload: event.Start{Session: label}}, epoch)
				tracker.Apply(event.Event{Action: event.ActionStop, Source: "a", ID: "Proxy-A-OID-1", Payload: event.Stop{Session: label}}, epoch)
			}
			tracker.Apply(event.Event{Action: event.ActionInfo, Source: "a", ID: "Proxy-A-OID-1", Payload: event.Info{
				Echo: &event.Echo{Session: label, Verdict: d.Verdict, Rule: d.Rule, Decision: "d1"},
			}}, epoch.Add(time.Second))
			sink.Commit()
			if err := sink.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, span := range []string{"tcp", nameAccess} {
				if client.spans[span] == nil {
					t.Fatalf("spans are %v", client.spans)
				}
				got := map[string]string{}
				for _, kv := range client.spans[span].GetAttributes() {
					switch v := kv.GetValue(); {
					case v.GetStringValue() != "":
						got[kv.GetKey()] = v.GetStringValue()
					case v.GetBoolValue():
						got[kv.GetKey()] = "true"
					default:
						got[kv.GetKey()] = strconv.FormatInt(v.GetIntValue(), 10)
					}
				}
				for key, value := range want {
					if span == nameAccess && !strings.HasPrefix(key, "smithproxy.access.") {
						continue
					}
					if got[key] != value {
						t.Errorf("span %s: %s is %q, want %q", span, key, got[key], value)
					}
				}
			}
		})
	}
}
