package traces

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/traceid"
	"smithproxy_exporter/exporter/track"
)

// sampled returns a configuration that keeps a share, and what the default rules keep.
func sampled(ratio float64) SpanConfig {
	c := DefaultSpanConfig()
	c.Sampling.Ratio = ratio
	return c
}

// nothing keeps no trace but by the rules that a test adds.
func nothing() SpanConfig { return SpanConfig{} }

// take visits the new spans of a sink.
func take(t *testing.T, sink *Sink, visit func(*tracepb.Span)) {
	t.Helper()
	sink.Encoded(func(encoded []byte, _ int) {
		var message tracepb.ResourceSpans
		if err := proto.Unmarshal(encoded, &message); err != nil {
			t.Fatal(err)
		}
		for _, scope := range message.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				visit(span)
			}
		}
	})
}

// spanNames returns the names of the new spans of a sink.
func spanNames(t *testing.T, sink *Sink) (list []string) {
	take(t, sink, func(span *tracepb.Span) { list = append(list, span.GetName()) })
	return list
}

// weight returns how many spans a span stands for by its tracestate, as any reader of the specification would.
func weight(t *testing.T, span *tracepb.Span) float64 {
	t.Helper()
	digits, ok := strings.CutPrefix(span.GetTraceState(), "ot=th:")
	if !ok || len(digits) > 14 {
		t.Fatalf("tracestate is %q", span.GetTraceState())
	}
	threshold, err := strconv.ParseUint(digits+strings.Repeat("0", 14-len(digits)), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return 1 / (1 - math.Ldexp(float64(threshold), -56))
}

func TestTracestate(t *testing.T) {
	for _, tt := range []struct {
		ratio     float64
		threshold uint64
		state     string
	}{
		{1, 0, "ot=th:0"},
		{0.5, 1 << 55, "ot=th:8"},
		{0.75, 1 << 54, "ot=th:4"},
		{0.1, 0xe6666666666666, "ot=th:e6666666666666"},
		{1.0 / 256, 0xff << 48, "ot=th:ff"},
		{math.Ldexp(1, -56), 1<<56 - 1, "ot=th:ffffffffffffff"},
		{math.Ldexp(1, -58), 1 << 56, ""},
		{0, 1 << 56, ""},
	} {
		threshold := thresholdOf(tt.ratio)
		if threshold != tt.threshold {
			t.Errorf("the threshold of %v is %#x, want %#x", tt.ratio, threshold, tt.threshold)
		}
		if state := stateOf(threshold); tt.state != "" && state != tt.state {
			t.Errorf("the tracestate of %v is %s, want %s", tt.ratio, state, tt.state)
		}
	}
}

// TestSamplingByOutcome plays 100,000 connections with a ratio of 0.1, fewer if it is to be short. Every trace that a rule names is there, whole;
// and counts that are corrected by the tracestate are those of all connections, by application, too.
func TestSamplingByOutcome(t *testing.T) {
	connections, tolerance := 100_000, 0.03
	if testing.Short() {
		connections, tolerance = 10_000, 0.1
	}
	c := sampled(0.1)
	c.Sampling.Keep.Rules, c.Sampling.Keep.Sources = []string{"watched"}, []access.Glob{"lab-*"}
	sink, counts := newSinkOf(t, c)
	tracker := newTracker(sink)
	mustKeep := map[traceid.ID]Sampling{}
	truth, corrected := map[string]float64{}, map[string]float64{}
	spans := map[string]int{} // by trace
	made := 0
	collect := func() {
		take(t, sink, func(span *tracepb.Span) {
			made++
			spans[string(span.GetTraceId())]++
			if span.GetParentSpanId() == nil {
				corrected[span.GetName()] += weight(t, span)
				corrected[""] += weight(t, span)
			}
		})
	}
	for i := range connections {
		source, app, at := "edge-"+strconv.Itoa(i%7), []string{"http1", "http2", "dns"}[i%3], time.Duration(i)*100*time.Millisecond
		d := track.Decision{Rule: "default", Verdict: event.Accept}
		stop := event.Stop{App: app, BytesUp: 100, BytesDown: 1000}
		info := event.Info{Statistics: &event.Statistics{Up: &event.Entropy{Bits: 5, Sampled: 100}}}
		lasts := time.Second
		var why Sampling
		switch i % 100 {
		case 10:
			why, d.Verdict = sampledReason, event.Reject
		case 11:
			why, lasts = sampledLongerThan, 11*time.Minute
		case 12:
			why, stop.BytesUp = sampledBytes, 1<<30
		case 13:
			why, info.Statistics.Up.Bits = sampledEntropy, 7.95
		case 14:
			why, d.DryRunRule = sampledDryRun, "trial"
		case 15:
			why, d.Rule = sampledRule, "watched"
		case 16:
			why, source = sampledSource, "lab-1"
		}
		id, label := fmt.Sprintf("Proxy-A-SID-%X", i+1), fmt.Sprintf("tcp_10.%d.%d.%d:40000+tcp_192.0.2.1:80", i>>16, i>>8&255, i&255)
		d.Source, d.ID, d.Label, d.Policy = source, "d"+id, label, -1
		d.Received, d.Mono, d.Answered = wall(at), time.Minute+at, wall(at)
		tracker.Decide(d, nil)
		stop.Session, info.Statistics.Session = label, label
		events := []any{event.Start{Session: label}, stop, info}
		name := app
		if d.Verdict == event.Reject {
			events, name = []any{event.Info{Echo: &event.Echo{Session: label, Verdict: event.Reject, Rule: d.Rule, Decision: d.ID}}}, "tcp"
		}
		for n, payload := range events {
			when := at
			if n > 0 {
				when += lasts
			}
			tracker.Apply(event.Event{Source: source, ID: id, Payload: payload}, track.At(wall(when), time.Minute+when), nil)
		}
		truth[name]++
		truth[""]++
		if why != "" {
			mustKeep[traceid.Of(source, id)] = why
		}
		if i%1000 == 999 {
			collect()
		}
	}
	collect()
	left := 0
	for id, why := range mustKeep {
		if n := spans[string(id.Trace[:])]; n != 2 {
			t.Errorf("the trace %s, to be kept for %s, has %d spans, want 2", id.TraceString(), why, n)
		}
		left++
	}
	for trace, n := range spans {
		if n != 2 {
			t.Fatalf("the trace %x has %d spans, want 2", trace, n)
		}
	}
	for name, n := range truth {
		if math.Abs(corrected[name]/n-1) > tolerance {
			t.Errorf("%s: counts are corrected to %.0f, but there were %.0f", name, corrected[name], n)
		}
	}
	if all := len(spans) + counts.by[unsampled]; all != connections || counts.unsampled != 2*counts.by[unsampled] {
		t.Errorf("%d traces are kept and %d counted as left out, with %d spans", len(spans), counts.by[unsampled], counts.unsampled)
	}
	for _, why := range []Sampling{sampledReason, sampledLongerThan, sampledBytes, sampledEntropy, sampledDryRun, sampledRule, sampledSource} {
		if counts.by[why] != connections/100 {
			t.Errorf("%d traces are kept for %s, want %d", counts.by[why], why, connections/100)
		}
	}
	t.Logf("%d traces of %d, %d spans; corrected %.0f of %.0f; %d by rules; %v", len(spans), connections, made, corrected[""], truth[""], left, counts.by)
}

// wall is a wall clock time.
func wall(d time.Duration) time.Time { return epoch.Add(d) }

// life is a connection in a test of what is sent of it when.
type life struct {
	t       *testing.T
	sink    *Sink
	counts  *traceCounts
	tracker *track.Tracker
}

const lifeLabel = "tcp_10.20.0.1:40000+tcp_192.0.2.1:80"

func newLife(t *testing.T, c SpanConfig) *life {
	sink, counts := newSinkOf(t, c)
	config := track.DefaultConfig()
	config.Proxies.DownTimeout = 0 // it never pings
	tracker := track.New(config, sink.Take)
	tracker.Sampled = sink.Sampled
	return &life{t, sink, counts, tracker}
}

func (l *life) apply(payload any, after time.Duration) {
	action := event.ActionStart
	switch payload.(type) {
	case event.Stop:
		action = event.ActionStop
	case event.Info:
		action = event.ActionInfo
	}
	l.tracker.Apply(event.Event{Action: action, Source: "a", ID: "Proxy-A-SID-1", Payload: payload}, at(after), nil)
}

// sends lets time pass, and compares the spans that are sent meanwhile.
func (l *life) sends(until time.Duration, want ...string) {
	l.t.Helper()
	for l.tracker.Advance(at(until)) {
	}
	if got := spanNames(l.t, l.sink); strings.Join(got, " ") != strings.Join(want, " ") {
		l.t.Errorf("at %v %v are sent, want %v", until, got, want)
	}
}

// TestOpenSpansAndSampling: nothing is sent of a connection whose trace is left out, and all of one whose trace is kept,
// whenever that becomes known.
func TestOpenSpansAndSampling(t *testing.T) {
	start, stop := event.Start{Session: lifeLabel}, event.Stop{Session: lifeLabel, BytesUp: 2000}
	for name, tt := range map[string]struct {
		config func(*SpanConfig)
		play   func(*life)
	}{
		"left out": {func(*SpanConfig) {}, func(l *life) {
			l.sends(25 * time.Minute)
			l.apply(stop, 26*time.Minute)
			l.sends(30 * time.Minute)
			l.apply(event.Info{Statistics: &event.Statistics{Session: lifeLabel}}, 31*time.Minute)
			l.sends(40 * time.Minute)
		}},
		"kept by the ratio": {func(c *SpanConfig) { c.Sampling.Ratio = 1 }, func(l *life) {
			l.sends(6*time.Minute, "open")
			l.apply(stop, 7*time.Minute)
			l.sends(9*time.Minute, "tcp")
			l.apply(event.Info{Statistics: &event.Statistics{Session: lifeLabel}}, 10*time.Minute)
			l.sends(15*time.Minute, "connection-info")
		}},
		"kept by its length": {func(c *SpanConfig) { c.Sampling.Keep.LongerThan = 10 * time.Minute }, func(l *life) {
			l.sends(6 * time.Minute)
			l.sends(11*time.Minute, "open", "open")
			l.sends(21*time.Minute, "open")
			l.apply(stop, 22*time.Minute)
			l.sends(24*time.Minute, "tcp")
		}},
		"not as long as that": {func(c *SpanConfig) { c.Sampling.Keep.LongerThan = 10 * time.Minute }, func(l *life) {
			l.sends(6 * time.Minute)
			l.apply(stop, 10*time.Minute)
			l.sends(12 * time.Minute)
		}},
		"kept by its end": {func(c *SpanConfig) { c.Sampling.Keep.BytesOver = 1000 }, func(l *life) {
			l.sends(11 * time.Minute)
			l.apply(stop, 12*time.Minute)
			l.sends(15*time.Minute, "open", "open", "tcp")
			l.apply(event.Info{Statistics: &event.Statistics{Session: lifeLabel}}, 16*time.Minute)
			l.sends(17*time.Minute, "connection-info")
		}},
		"kept by its source": {func(c *SpanConfig) { c.Sampling.Keep.Sources = []access.Glob{"a"} }, func(l *life) {
			l.sends(6*time.Minute, "open")
			l.apply(stop, 7*time.Minute)
			l.sends(9*time.Minute, "tcp")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			c := nothing()
			tt.config(&c)
			l := newLife(t, c)
			l.apply(start, 0)
			tt.play(l)
		})
	}
}

// TestHeldSpansAreOfTheOpenConnection: what is sent late says what was known while the connection was open.
func TestHeldSpansAreOfTheOpenConnection(t *testing.T) {
	c := nothing()
	c.Sampling.Keep.BytesOver = 1000
	l := newLife(t, c)
	l.apply(event.Start{Session: lifeLabel}, 0)
	l.sends(6 * time.Minute)
	l.apply(event.Stop{Session: lifeLabel, BytesUp: 2000, Details: []string{"http://a/"}}, 7*time.Minute)
	for l.tracker.Advance(at(9 * time.Minute)) {
	}
	found := false
	take(t, l.sink, func(span *tracepb.Span) {
		if span.GetName() != nameOpen {
			return
		}
		found = true
		if end := time.Unix(0, int64(span.GetEndTimeUnixNano())); !end.Equal(epoch.Add(5 * time.Minute)) {
			t.Errorf("it ends at %v", end)
		}
		for _, kv := range span.GetAttributes() {
			if kv.GetKey() == string(keyReason) || kv.GetKey() == string(keyBytesUp) {
				t.Errorf("it says %v", kv)
			}
		}
		if len(span.GetEvents()) > 0 {
			t.Errorf("it has the events %v", span.GetEvents())
		}
	})
	if !found {
		t.Error("it is not there")
	}
}

// TestUnclaimedDecisions: a decision without a connection is sampled by the same rules.
func TestUnclaimedDecisions(t *testing.T) {
	keep := func(change func(*KeepConfig)) SpanConfig {
		c := nothing()
		change(&c.Sampling.Keep)
		return c
	}
	all := nothing()
	all.Sampling.Ratio = 1
	for name, tt := range map[string]struct {
		config SpanConfig
		want   Sampling
	}{
		"nothing":  {nothing(), unsampled},
		"ratio":    {all, sampledRatio},
		"rejected": {keep(func(k *KeepConfig) { k.Reasons = []track.Reason{track.ReasonRejected} }), sampledReason},
		"lost":     {keep(func(k *KeepConfig) { k.Reasons = []track.Reason{track.ReasonLost} }), unsampled},
		"dry run":  {keep(func(k *KeepConfig) { k.DryRun = true }), sampledDryRun},
		"rule":     {keep(func(k *KeepConfig) { k.Rules = []string{"mail"} }), sampledRule},
		"dry rule": {keep(func(k *KeepConfig) { k.Rules = []string{"trial"} }), sampledRule},
		"no rule":  {keep(func(k *KeepConfig) { k.Rules = []string{"other"} }), unsampled},
		"source":   {keep(func(k *KeepConfig) { k.Sources = []access.Glob{"edge-*"} }), sampledSource},
	} {
		t.Run(name, func(t *testing.T) {
			sink, counts := newSinkOf(t, tt.config)
			sink.Take(track.Unclaimed{D: &track.Decision{
				Source: "edge-1", Label: lifeLabel, Verdict: event.Reject, Rule: "mail", DryRunRule: "trial", Received: epoch,
			}})
			if n := len(spanNames(t, sink)); counts.by[tt.want] != 1 || (n == 1) != (tt.want != unsampled) {
				t.Errorf("%d spans, %v; want %s", n, counts.by, tt.want)
			}
		})
	}
}

// TestNoKeptTraceIsForgotten: a trace of which a span was sent is finished, under another configuration, too.
func TestNoKeptTraceIsForgotten(t *testing.T) {
	c := nothing()
	c.Sampling.Ratio = 1
	l := newLife(t, c)
	l.apply(event.Start{Session: lifeLabel}, 0)
	l.sends(6*time.Minute, "open")
	none, counts := newSinkOf(t, nothing())
	l.tracker.Sampled = none.Sampled
	l.sink.sampler = none.sampler
	l.apply(event.Stop{Session: lifeLabel}, 7*time.Minute)
	l.sends(9*time.Minute, "tcp")
	if l.counts.by[sampledOpen] != 1 || len(counts.by) != 0 {
		t.Errorf("it is kept for %v", l.counts.by)
	}
}

func TestOver(t *testing.T) {
	for _, tt := range []struct {
		a, b, limit uint64
		want        bool
	}{{5, 5, 10, false}, {5, 6, 10, true}, {11, 0, 10, true}, {0, 11, 10, true}, {math.MaxUint64, math.MaxUint64, 10, true}} {
		if got := over(tt.a, tt.b, tt.limit); got != tt.want {
			t.Errorf("over(%d, %d, %d) = %t", tt.a, tt.b, tt.limit, got)
		}
	}
}
