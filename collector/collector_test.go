package collector

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

var update = flag.Bool("update", false, "write the golden files anew; check them by hand")

var epoch = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// world feeds events through a real tracker to a sink, and renders what is exposed.
type world struct {
	*testing.T
	sink    *Sink
	tracker *track.Tracker
	now     time.Time
}

func newWorld(t *testing.T, values int) *world {
	return newWorldOf(t, func(o *Options) { o.MaxValues = values })
}

func newWorldOf(t *testing.T, change func(*Options)) *world {
	w := &world{T: t, now: epoch}
	o := DefaultOptions()
	o.AccessRules = AccessRules{Answers: []AccessAnswer{{Verdict: "accept", Rule: "default"}}, DryRuns: []string{"trial"}}
	o.Now = func() time.Time { return w.now }
	change(&o)
	w.sink = New(o)
	w.tracker = track.New(track.DefaultOptions(), w.sink.Take)
	return w
}

// wait lets time pass.
func (w *world) wait(d time.Duration) {
	w.now = w.now.Add(d)
	w.tracker.Advance(w.now)
}

// Gather does with the sink what a registry does with its collectors: it finds what is inconsistent.
func (w *world) Gather() ([]*dto.MetricFamily, error) {
	return prometheus.Gatherers{w.sink}.Gather()
}

// shows compares the series of one metric, written as in the exposition.
func (w *world) shows(metric string, want ...string) {
	w.Helper()
	var got []string
	for line := range strings.Lines(w.exposition()) {
		if name, _, _ := strings.Cut(line, "{"); name == metric {
			got = append(got, strings.TrimSpace(strings.TrimPrefix(line, metric)))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("%s (-want +got):\n%s", metric, diff)
	}
}

func (w *world) send(action event.Action, id string, payload any) {
	w.tracker.Apply(event.Event{Action: action, Source: "edge-1", ID: id, Payload: payload}, w.now)
}

// connection starts, stops and profiles one.
func (w *world) connection(id string, stop event.Stop) {
	stop.Session = "ssli_10.0.0.1:40000+ssli_10.0.0.2:443"
	w.send(event.ActionStart, id, event.Start{Session: stop.Session})
	w.now = w.now.Add(250 * time.Millisecond)
	w.send(event.ActionStop, id, stop)
	skew := 0.5
	w.send(event.ActionInfo, id, event.Info{Statistics: &event.Statistics{
		Session: stop.Session, Up: &event.Entropy{Bits: 7.95, Sampled: 512}, Skew: &skew,
	}})
}

func (w *world) exposition() string {
	w.Helper()
	families, err := w.Gather()
	if err != nil {
		w.Fatal(err)
	}
	var text strings.Builder
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&text, f); err != nil {
			w.Fatal(err)
		}
	}
	return text.String()
}

func (w *world) golden(name string) {
	w.Helper()
	path := filepath.Join("testdata", name+".txt")
	got := w.exposition()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			w.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		w.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		w.Errorf("%s differs (-want +got):\n%s", name, diff)
	}
}

// TestZeroFirst has a proxy say its first word: what is known of it then starts at 0.
func TestZeroFirst(t *testing.T) {
	w := newWorld(t, 10)
	w.send(event.ActionUnknown, "", nil)
	w.golden("zero")
}

func TestExposition(t *testing.T) {
	w := newWorld(t, 10)
	policy := 3
	w.send(event.ActionPing, "", event.Ping{Instance: "Proxy-A1"})
	w.send(event.ActionNeighbor, "", event.Neighbor{State: event.NeighborNew, Addresses: []string{"10.0.0.1"}})
	w.connection("Proxy-A1-OID-1", event.Stop{
		Policy: &policy, BytesUp: 1000, BytesDown: 3000, TLS: true, SNI: "Example.com.", App: "http2",
		Details: []string{"https://example.com/"}, Signatures: []string{"www/http2/start"},
	})
	w.send(event.ActionStart, "Proxy-A1-OID-2", event.Start{Session: "udp_10.0.0.1:1+udp_10.0.0.2:2"})
	w.send(event.ActionContent, "Proxy-A1-OID-2", event.Content{Side: "R", Bytes: 42})
	w.tracker.Decide(track.Decision{
		Source: "edge-1", Label: "tcp_10.0.0.1:7+tcp_10.0.0.2:8", Policy: -1, Verdict: event.Accept, Rule: "default",
		Received: w.now, Answered: w.now.Add(80 * time.Microsecond),
	})
	w.golden("exposition")
	problems, err := testutil.GatherAndLint(w)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "smithproxy_payload_entropy_") && strings.Contains(p.Text, "base unit") {
			continue // Entropy is in bits, and users rely on the name.
		}
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestForgottenProxyLeavesNothing(t *testing.T) {
	w := newWorld(t, 10)
	w.send(event.ActionPing, "", event.Ping{Instance: "Proxy-A1"})
	w.connection("Proxy-A1-OID-1", event.Stop{TLS: true, SNI: "example.com"})
	w.tracker.Advance(w.now.Add(track.DefaultOptions().ForgetAfter + time.Hour))
	if text := w.exposition(); strings.Contains(text, "edge-1") {
		t.Errorf("series of a forgotten proxy are left:\n%s", text)
	}
}

// TestLimitedValues has more server names than series: every byte is counted all the same.
func TestLimitedValues(t *testing.T) {
	w := newWorld(t, 2)
	for i, name := range []string{"a", "b", "c", "d", "a", "c"} {
		w.connection("Proxy-A1-OID-"+string(rune('1'+i)), event.Stop{TLS: true, SNI: name, BytesUp: 1})
	}
	want := `
		# HELP smithproxy_sni_connections_total Stopped connections by TLS server name.
		# TYPE smithproxy_sni_connections_total counter
		smithproxy_sni_connections_total{sni="_invalid",source="edge-1"} 0
		smithproxy_sni_connections_total{sni="_other",source="edge-1"} 3
		smithproxy_sni_connections_total{sni="a",source="edge-1"} 2
		smithproxy_sni_connections_total{sni="b",source="edge-1"} 1
	`
	if err := testutil.GatherAndCompare(w, strings.NewReader(want), "smithproxy_sni_connections_total"); err != nil {
		t.Error(err)
	}
	limited := `
		# HELP smithproxy_exporter_series_limited_total Increments that went to a series of _other, because other values of the label are seen more often.
		# TYPE smithproxy_exporter_series_limited_total counter
		smithproxy_exporter_series_limited_total{metric="smithproxy_access_dry_run_rejects_total"} 0
smithproxy_exporter_series_limited_total{metric="smithproxy_access_requests_total"} 0
		smithproxy_exporter_series_limited_total{metric="smithproxy_connection_duration_seconds"} 0
		smithproxy_exporter_series_limited_total{metric="smithproxy_connections_closed_total"} 0
		smithproxy_exporter_series_limited_total{metric="smithproxy_neighbor_last_seen_timestamp_seconds"} 0
		smithproxy_exporter_series_limited_total{metric="smithproxy_signatures_total"} 0
		smithproxy_exporter_series_limited_total{metric="smithproxy_sni_connections_total"} 3
	`
	if err := testutil.GatherAndCompare(w, strings.NewReader(limited), "smithproxy_exporter_series_limited_total"); err != nil {
		t.Error(err)
	}
}

func TestLabel(t *testing.T) {
	long := strings.Repeat("ü", 100)
	tests := map[string]struct{ in, want string }{
		"plain":         {"www.example.com", "www.example.com"},
		"empty":         {"", ""},
		"unicode":       {"пример-🦊", "пример-🦊"},
		"not UTF-8":     {"a\xffb", "a\ufffdb"},
		"control":       {"a\x00b\nc\x7f\u0085", "a\ufffdb\ufffdc\ufffd\ufffd"},
		"too long":      {long, long[:128]},
		"long, cut mid": {"a" + long, "a" + long[:126]},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := label(tt.in); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func BenchmarkConnection(b *testing.B) {
	sink := New(DefaultOptions())
	skew, policy := 0.5, 2
	c := &track.Connection{
		Source: "edge-1", ID: "Proxy-A1-OID-FEE9B109FF3D", StartedAt: epoch, StoppedAt: epoch.Add(time.Second),
		Transport: event.TLS, Reason: track.ReasonStop,
		Stop: &event.Stop{
			Policy: &policy, BytesUp: 1, BytesDown: 2, TLS: true, SNI: "www.example.com", App: "http2",
			Signatures: []string{"www/http2/start"},
		},
		Statistics: &event.Statistics{Up: &event.Entropy{Bits: 5}, Down: &event.Entropy{Bits: 6}, Skew: &skew},
	}
	source := c.Source
	b.ReportAllocs()
	for b.Loop() {
		// Made anew, as the tracker does it: some of the allocations are these.
		for _, f := range []track.Fact{
			track.Received{Source: source, Action: event.ActionStart}, track.ConnectionsActive{Source: source, Count: 1}, track.Opened{C: c},
			track.Received{Source: source, Action: event.ActionStop}, track.Stopped{C: c}, track.ConnectionsActive{Source: source}, track.Closed{C: c},
			track.Received{Source: source, Action: event.ActionInfo}, track.Profiled{C: c}, track.Finished{C: c},
		} {
			sink.Take(f)
		}
	}
}

// TestScrapesMeanwhile scrapes while facts come, for the race detector, and looks for scrapes that see half
// of a fact.
func TestScrapesMeanwhile(t *testing.T) {
	sink := New(DefaultOptions())
	c := &track.Connection{Source: "edge-1", Stop: &event.Stop{SNI: "example.com", BytesUp: 1, BytesDown: 2}}
	sink.Take(track.Stopped{C: c})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 20_000 {
			c.Stop.SNI = []string{"example.com", "example.org", "192.0.2.1"}[i%3]
			sink.Take(track.Stopped{C: c})
		}
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		families, err := prometheus.Gatherers{sink}.Gather()
		if err != nil {
			t.Fatal(err)
		}
		sums := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				sums[f.GetName()] += m.GetCounter().GetValue()
			}
		}
		if n := sums["smithproxy_sni_connections_total"]; sums["smithproxy_sni_bytes_total"] != 3*n || sums["smithproxy_connection_bytes_total"] != 3*n {
			t.Fatalf("sums at one scrape: %v", sums)
		}
	}
}
