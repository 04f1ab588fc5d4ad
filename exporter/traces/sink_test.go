package traces

import (
	"context"
	"log/slog"
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
