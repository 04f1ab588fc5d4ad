package traces

import (
	"strconv"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// made returns the spans that a sink passes on, by name, and their resources by source.
func made(t *testing.T, sink *Sink) (spans map[string]*tracepb.Span, resources map[string]map[string]string) {
	t.Helper()
	spans, resources = map[string]*tracepb.Span{}, map[string]map[string]string{}
	sink.Encoded(func(encoded []byte, n int) {
		var message tracepb.ResourceSpans
		if err := proto.Unmarshal(encoded, &message); err != nil {
			t.Fatal(err)
		}
		attributes := map[string]string{}
		for _, kv := range message.GetResource().GetAttributes() {
			attributes[kv.GetKey()] = kv.GetValue().GetStringValue()
		}
		resources[attributes["host.name"]] = attributes
		for _, scope := range message.GetScopeSpans() {
			if len(scope.GetSpans()) != n {
				t.Errorf("a message has %d spans, and says %d", len(scope.GetSpans()), n)
			}
			for _, span := range scope.GetSpans() {
				spans[span.GetName()] = span
			}
		}
	})
	return spans, resources
}

func newSink(t *testing.T) *Sink {
	t.Helper()
	sink, _ := newSinkOf(t, DefaultSpanConfig())
	return sink
}

// newSinkOf returns a sink with its metrics.
func newSinkOf(t *testing.T, c SpanConfig) (*Sink, *traceCounts) {
	t.Helper()
	counts := &traceCounts{by: map[Sampling]int{}}
	sink, err := NewSink(t.Context(), SinkOptions{Config: c, Requests: 10, Metrics: counts})
	if err != nil {
		t.Fatal(err)
	}
	return sink, counts
}

// traceCounts are SinkMetrics.
type traceCounts struct {
	by        map[Sampling]int
	unsampled int // spans
}

func (c *traceCounts) TraceSampled(why string) { c.by[Sampling(why)]++ }
func (c *traceCounts) SpansUnsampled(n int)    { c.unsampled += n }

// newTracker returns a tracker whose facts a sink takes.
func newTracker(sink *Sink) *track.Tracker {
	tracker := track.New(track.DefaultConfig(), sink.Take)
	tracker.Sampled = sink.Sampled
	return tracker
}

var epoch = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) track.Instant { return track.At(epoch.Add(d), time.Minute+d) }

// play passes the facts of a connection to a sink.
func play(sink *Sink, source, id string) {
	const label = "tcp_10.20.0.1:40000+tcp_192.0.2.1:80"
	tracker := newTracker(sink)
	for i, payload := range []any{event.Start{Session: label}, event.Stop{Session: label, App: "http1", Details: []string{"http://a/1", "http://a/22", "http://a/333"}}, event.Info{}} {
		action := []event.Action{event.ActionStart, event.ActionStop, event.ActionInfo}[i]
		tracker.Apply(event.Event{Action: action, Source: source, ID: id, Payload: payload}, at(time.Duration(i)*time.Second), nil)
	}
}

// TestDecisionIsInsideItsConnection has a connection stop before the time of its answer was taken.
func TestDecisionIsInsideItsConnection(t *testing.T) {
	const label = "tcp_10.20.0.1:40000+tcp_192.0.2.1:80"
	sink := newSink(t)
	tracker := track.New(track.DefaultConfig(), sink.Take)
	tracker.Decide(track.Decision{
		Source: "a", ID: "d", Label: label, Policy: -1, Verdict: event.Accept, Received: epoch, Mono: time.Minute, Answered: epoch.Add(5 * time.Microsecond),
	}, nil)
	for i, payload := range []any{event.Start{Session: label}, event.Stop{Session: label, App: "http1"}, event.Info{}} {
		tracker.Apply(event.Event{Source: "a", ID: "Proxy-A-OID-1", Payload: payload}, at(time.Duration(i+1)*time.Microsecond), nil)
	}
	spans, _ := made(t, sink)
	root, child := spans["http1"], spans[nameAccess]
	if root == nil || child == nil {
		t.Fatalf("spans are %v", spans)
	}
	if child.GetStartTimeUnixNano() < root.GetStartTimeUnixNano() || child.GetEndTimeUnixNano() > root.GetEndTimeUnixNano() {
		t.Errorf("the decision lasts from %d to %d, its connection from %d to %d", child.GetStartTimeUnixNano(),
			child.GetEndTimeUnixNano(), root.GetStartTimeUnixNano(), root.GetEndTimeUnixNano())
	}
}

// TestResources: a proxy is told apart by its own name, whatever the environment says; the rest of that counts.
func TestResources(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=all,host.name=exporter,deployment.environment.name=lab")
	t.Setenv("OTEL_SERVICE_NAME", "edge")
	sink := newSink(t)
	play(sink, "a", "Proxy-A-OID-1")
	play(sink, "b", "Proxy-B-OID-1")
	_, resources := made(t, sink)
	for _, source := range []string{"a", "b"} {
		r := resources[source]
		if r["service.instance.id"] != source || r["deployment.environment.name"] != "lab" || r["service.name"] != "edge" {
			t.Errorf("resource of %s is %v", source, r)
		}
	}
}

// TestResourceOfTheEnvironment is wrong at the start, not when the first span is encoded.
func TestResourceOfTheEnvironment(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "site=caf%e9")
	if _, err := NewSink(t.Context(), SinkOptions{Config: DefaultSpanConfig()}); err == nil {
		t.Error("a resource attribute that is not UTF-8 is taken")
	}
}

func TestLimitsOfTheEnvironment(t *testing.T) {
	t.Setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5")
	t.Setenv("OTEL_SPAN_EVENT_COUNT_LIMIT", "2")
	t.Setenv("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "3")
	sink := newSink(t)
	play(sink, "a", "Proxy-A-OID-1")
	spans, _ := made(t, sink)
	root := spans["http1"]
	if len(root.GetEvents()) != 2 || root.GetDroppedEventsCount() != 1 || len(root.GetAttributes()) != 3 || root.GetDroppedAttributesCount() == 0 {
		t.Errorf("%d events, %d dropped; %d attributes, %d dropped", len(root.GetEvents()), root.GetDroppedEventsCount(),
			len(root.GetAttributes()), root.GetDroppedAttributesCount())
	}
	if id := root.GetAttributes()[0].GetValue().GetStringValue(); id != "Proxy" {
		t.Errorf("an attribute is %q, want it cut to 5 characters", id)
	}
}

func TestSamplerOfTheEnvironment(t *testing.T) {
	for name, want := range map[string]int{"always_on": 100, "parentbased_always_off": 0, "traceidratio": 50} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("OTEL_TRACES_SAMPLER", name)
			t.Setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
			sink := newSink(t)
			for i := range 100 {
				play(sink, "a", "Proxy-A-OID-"+strconv.Itoa(i))
			}
			n := 0
			sink.Encoded(func(_ []byte, spans int) { n += spans })
			if n < want-20 || n > want+20 || want == 0 && n > 0 {
				t.Errorf("%d of 100 are sampled, want about %d", n, want)
			}
		})
	}
	t.Setenv("OTEL_TRACES_SAMPLER", "sometimes")
	if _, err := NewSink(t.Context(), SinkOptions{Config: DefaultSpanConfig()}); err == nil {
		t.Error("an unknown sampler is taken")
	}
}

// TestRejectedTrace has a transparent proxy reject: of the connection there is an info with the echo, and the
// decision. Its trace says who was kept from what, and why.
func TestRejectedTrace(t *testing.T) {
	const label = "tcp_10.20.0.1:40000+tcp_192.0.2.1:25"
	for name, dryRun := range map[string]string{"reject": "", "dry-run reject": "feed"} {
		t.Run(name, func(t *testing.T) {
			sink := newSink(t)
			tracker := track.New(track.DefaultConfig(), sink.Take)
			want := map[string]string{
				"smithproxy.access.verdict": "reject", "smithproxy.access.rule": "mail", "client.address": "10.20.0.1",
				"server.address": "192.0.2.1", "server.port": "25", "smithproxy.close.reason": "rejected",
				"smithproxy.access.dry_run": "", "smithproxy.access.dry_run_rule": "",
			}
			d := track.Decision{
				Source: "a", ID: "d1", Label: label, Policy: -1, Verdict: event.Reject, Rule: "mail",
				Received: epoch, Mono: time.Minute, Answered: epoch.Add(time.Millisecond),
			}
			if dryRun != "" {
				d.Verdict, d.Rule, d.DryRunRule = event.Accept, "default", dryRun
				want["smithproxy.access.verdict"], want["smithproxy.access.rule"] = "accept", "default"
				want["smithproxy.access.dry_run"], want["smithproxy.access.dry_run_rule"] = "true", "feed"
				want["smithproxy.close.reason"] = "stop"
			}
			tracker.Decide(d, nil)
			if dryRun != "" {
				tracker.Apply(event.Event{Action: event.ActionStart, Source: "a", ID: "Proxy-A-OID-1", Payload: event.Start{Session: label}}, at(0), nil)
				tracker.Apply(event.Event{Action: event.ActionStop, Source: "a", ID: "Proxy-A-OID-1", Payload: event.Stop{Session: label}}, at(0), nil)
			}
			tracker.Apply(event.Event{Action: event.ActionInfo, Source: "a", ID: "Proxy-A-OID-1", Payload: event.Info{
				Echo: &event.Echo{Session: label, Verdict: d.Verdict, Rule: d.Rule, Decision: "d1"},
			}}, at(time.Second), nil)
			spans, _ := made(t, sink)
			for _, span := range []string{"tcp", nameAccess} {
				if spans[span] == nil {
					t.Fatalf("spans are %v", spans)
				}
				got := map[string]string{}
				for _, kv := range spans[span].GetAttributes() {
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

// BenchmarkConnection is what the spans of a connection cost, to their last byte.
func BenchmarkConnection(b *testing.B) {
	sink, err := NewSink(b.Context(), SinkOptions{Config: DefaultSpanConfig(), Requests: 64, Metrics: &traceCounts{by: map[Sampling]int{}}})
	if err != nil {
		b.Fatal(err)
	}
	var finished *track.Connection
	tracker := track.New(track.DefaultConfig(), func(f track.Fact) {
		if f, ok := f.(track.Finished); ok {
			finished = f.C
		}
	})
	const label = "ssli_10.20.0.1:40000+ssli_192.0.2.1:443"
	for _, payload := range []any{
		event.Start{Session: label},
		event.Stop{Session: label, TLS: true, SNI: "www.example.com", App: "http2", Details: []string{"https://www.example.com/"}, Signatures: []string{"www/http"}, JA4Client: "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6"},
		event.Info{Statistics: &event.Statistics{Session: label, Up: &event.Entropy{Bits: 5, Sampled: 9}, Down: &event.Entropy{Bits: 6, Sampled: 9}}},
	} {
		tracker.Apply(event.Event{Source: "a", ID: "Proxy-A-OID-1", Payload: payload}, at(0), nil)
	}
	b.ReportAllocs()
	for b.Loop() {
		sink.Take(track.Finished{C: finished})
		sink.Encoded(func([]byte, int) {})
	}
}

// TestUnknownEnds: a status says why the end of a connection is not known.
func TestUnknownEnds(t *testing.T) {
	for cause := track.CauseAbsence; cause <= track.CauseEvicted; cause++ {
		message, unknown := unknownEnds[cause]
		if want := cause.Reason() != track.ReasonStop && cause.Reason() != track.ReasonRejected; unknown != want {
			t.Errorf("the end for cause %d, reason %s, is unknown: %t", cause, cause.Reason(), unknown)
		}
		if unknown && message == "" {
			t.Errorf("cause %d is not explained", cause)
		}
	}
	l := newLife(t, DefaultSpanConfig())
	l.apply(event.Info{Statistics: &event.Statistics{Session: lifeLabel}}, 0)
	for l.tracker.Advance(at(time.Minute)) {
	}
	spans, _ := made(t, l.sink)
	if got := spans["tcp"].GetStatus(); got.GetCode() != tracepb.Status_STATUS_CODE_ERROR || got.GetMessage() != unknownEnds[track.CauseInfo] {
		t.Errorf("the status is %v", got)
	}
}
