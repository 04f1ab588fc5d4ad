package collector

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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

var update = flag.Bool("update", false, "write the golden files, to be checked by hand")

var epoch = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// world feeds events through a real tracker to a sink, and renders what is exposed.
type world struct {
	*testing.T
	sink    *Sink
	tracker *track.Tracker
	now     time.Time
}

func newWorld(t *testing.T, values int) *world {
	return newWorldOf(t, func(c *Config) { c.MaxValues = values })
}

func newWorldOf(t *testing.T, change func(*Config)) *world {
	w := &world{T: t, now: epoch}
	c := DefaultConfig()
	change(&c)
	w.sink = New(c, func() time.Time { return w.now })
	w.sink.useAccessRules(accessRules{answers: []accessAnswer{{verdict: "accept", rule: "default"}}, dryRuns: []string{"trial"}})
	w.tracker = track.New(track.DefaultConfig(), w.sink.Take)
	return w
}

// wait lets time pass.
func (w *world) wait(d time.Duration) {
	w.now = w.now.Add(d)
	w.advance()
}

func (w *world) advance() {
	for w.tracker.Advance(instant(w.now)) {
	}
	w.tracker.Flush()
}

// instant is a time by the clock of the tests; the exporter has been running for an hour at epoch.
func instant(at time.Time) track.Instant { return track.At(at, time.Hour+at.Sub(epoch)) }

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
	w.tracker.Apply(event.Event{Action: action, Source: "edge-1", ID: id, Payload: payload}, instant(w.now), nil)
	w.tracker.Flush()
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
		Received: w.now, Mono: instant(w.now).Mono, Answered: w.now.Add(80 * time.Microsecond),
	}, nil)
	w.tracker.Flush()
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
	w.wait(track.DefaultConfig().Proxies.ForgetAfter + time.Hour)
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
		# HELP smithproxy_sni_connections_total Total number of stopped connections, by TLS server name.
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
		# HELP smithproxy_exporter_series_limited_total Total number of increments counted in _other because the label is at its limit.
		# TYPE smithproxy_exporter_series_limited_total counter
		smithproxy_exporter_series_limited_total{metric="smithproxy_access_dry_run_rejects_total"} 0
smithproxy_exporter_series_limited_total{metric="smithproxy_access_rejects_total"} 0
		smithproxy_exporter_series_limited_total{metric="smithproxy_access_requests_total"} 0
		smithproxy_exporter_series_limited_total{metric="smithproxy_client_connections_total"} 0
		smithproxy_exporter_series_limited_total{metric="smithproxy_connection_duration_seconds"} 0
		smithproxy_exporter_series_limited_total{metric="smithproxy_connections_closed_total"} 0
		smithproxy_exporter_series_limited_total{metric="smithproxy_connections_started_total"} 0
		smithproxy_exporter_series_limited_total{metric="smithproxy_neighbor_last_seen_timestamp_seconds"} 0
		smithproxy_exporter_series_limited_total{metric="smithproxy_server_connections_total"} 0
		smithproxy_exporter_series_limited_total{metric="smithproxy_server_rejects_total"} 0
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
		"bidirectional": {"a\u202eb\u2066c\u200fd", "a\ufffdb\ufffdc\ufffdd"},
		"invisible":     {"a\u200bb\ufeffc\u2028d\u2029", "a\ufffdb\ufffdc\ufffdd\ufffd"},
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

// factsOf are those of a whole connection.
func factsOf() (facts []track.Fact) {
	tracker := track.New(track.DefaultConfig(), func(f track.Fact) { facts = append(facts, f) })
	skew, policy := 0.5, 2
	const id, session = "Proxy-A1-OID-FEE9B109FF3D", "ssli_10.0.0.1:40000+ssli_10.0.0.2:443"
	for i, payload := range []any{
		event.Start{Session: session},
		event.Stop{
			Session: session, Policy: &policy, BytesUp: 1, BytesDown: 2, TLS: true, SNI: "www.example.com", App: "http2",
			Signatures: []string{"www/http2/start"},
		},
		event.Info{Statistics: &event.Statistics{Up: &event.Entropy{Bits: 5}, Down: &event.Entropy{Bits: 6}, Skew: &skew}},
	} {
		action := []event.Action{event.ActionStart, event.ActionStop, event.ActionInfo}[i]
		tracker.Apply(event.Event{Action: action, Source: "edge-1", ID: id, Payload: payload}, instant(epoch.Add(time.Duration(i)*time.Second)), nil)
		tracker.Flush()
	}
	return facts
}

func BenchmarkConnection(b *testing.B) {
	sink := New(DefaultConfig(), time.Now)
	facts := factsOf()
	b.ReportAllocs()
	for b.Loop() {
		for _, f := range facts {
			sink.Take(f)
		}
	}
}

// TestScrapesMeanwhile scrapes while facts come, for the race detector, and expects that counters only grow and end up
// exact.
func TestScrapesMeanwhile(t *testing.T) {
	sink := New(DefaultConfig(), time.Now)
	facts := factsOf()
	const connections = 5000
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range connections {
			for _, f := range facts {
				sink.Take(f)
			}
		}
	}()
	last := map[string]float64{}
	scrape := func() map[string]float64 {
		families, err := prometheus.Gatherers{sink}.Gather()
		if err != nil {
			t.Fatal(err)
		}
		sums := map[string]float64{}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				sums[f.GetName()] += m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
				buckets := m.GetHistogram().GetBucket()
				if n := len(buckets); n > 0 && buckets[n-1].GetCumulativeCount() > m.GetHistogram().GetSampleCount() {
					t.Fatalf("%s: a bucket has more than the histogram", f.GetName())
				}
			}
		}
		return sums
	}
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		sums := scrape()
		for name, sum := range last {
			if sums[name] < sum {
				t.Fatalf("%s went from %v to %v", name, sum, sums[name])
			}
		}
		last = sums
	}
	for name, each := range map[string]float64{
		"smithproxy_sni_connections_total": 1, "smithproxy_sni_bytes_total": 3, "smithproxy_connection_bytes_total": 3,
		"smithproxy_connections_started_total": 1, "smithproxy_payload_entropy_bits": 2,
	} {
		if last[name] != each*connections {
			t.Errorf("%s is %v in the end, want %v", name, last[name], each*connections)
		}
	}
}

// TestFactsDoNotWaitForScrapes scrapes 120,000 series in a loop, and measures the longest time that a fact takes:
// events wait for it.
func TestFactsDoNotWaitForScrapes(t *testing.T) {
	c := DefaultConfig()
	c.MaxValues = 1000
	sink := New(c, time.Now)
	for source := range 40 {
		for address := range 1000 {
			sink.Take(track.NeighborSeen{Source: fmt.Sprint("edge-", source), Address: fmt.Sprint(address), At: epoch})
			stop := &track.Connection{Source: fmt.Sprint("edge-", source), Stop: &event.Stop{SNI: fmt.Sprintf("host-%d.example.com", address)}}
			sink.Take(track.Stopped{C: stop})
		}
	}
	facts := factsOf()
	// Of several rounds the best one counts: the others show the scheduler, and whatever else runs here. On a machine
	// that is busy all of it takes longer, so the bound is also a part of a scrape.
	const rounds, scrapes, bound, part = 3, 2, 20 * time.Millisecond, 20
	for range rounds {
		done := make(chan struct{})
		began := time.Now()
		go func() {
			defer close(done)
			for range scrapes {
				if _, err := sink.Gather(); err != nil {
					t.Error(err)
				}
			}
		}()
		var takes []time.Duration
		// A goroutine that never waits would lose its processor for 10 ms at a time.
		connections := time.NewTicker(300 * time.Microsecond)
		for running := true; running; {
			select {
			case <-done:
				running = false
			case <-connections.C:
			}
			for _, f := range facts {
				begin := time.Now()
				sink.Take(f)
				takes = append(takes, time.Since(begin))
			}
		}
		connections.Stop()
		scrape := time.Since(began) / scrapes
		slices.Sort(takes)
		longest := takes[len(takes)-1]
		t.Logf("a scrape took %v, the longest of %d facts %v, 99.99 %% up to %v",
			scrape, len(takes), longest, takes[len(takes)*9999/10000])
		if longest <= max(bound, scrape/part) {
			return
		}
	}
	t.Errorf("in each of %d rounds a fact took longer than %v, and than a %dth of a scrape", rounds, bound, part)
}
