package collector

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// match has a stopped connection match a signature n times.
func (w *world) match(signature string, n int) {
	for range n {
		w.sink.Take(track.Stopped{C: &track.Connection{Source: "edge-1", Stop: &event.Stop{Signatures: []string{signature}}}})
	}
}

func (w *world) signatures(want ...string) {
	w.Helper()
	for i, s := range want {
		value, n, _ := strings.Cut(s, " ")
		want[i] = fmt.Sprintf("{signature=%q,source=%q} %s", value, "edge-1", n)
	}
	w.shows("smithproxy_signatures_total", want...)
}

// TestFrequentValueEarnsSeries has junk come first.
func TestFrequentValueEarnsSeries(t *testing.T) {
	w := newWorld(t, 2)
	w.match("junk-1", 1)
	w.match("junk-2", 2)
	// 9 times for certain are 8 more than one and a half times 1, rounded down.
	w.match("often", 8)
	w.signatures("_other 8", "junk-1 1", "junk-2 2")
	w.match("often", 2)
	w.signatures("_other 8", "junk-1 1", "junk-2 2", "often 2")

	// Frozen, what comes goes to _other, and the series does not change.
	w.wait(5*time.Minute - time.Second)
	w.match("junk-1", 1)
	w.match("often", 1)
	w.signatures("_other 9", "junk-1 1", "junk-2 2", "often 3")
	w.wait(time.Second)
	w.signatures("_other 9", "junk-2 2", "often 3")

	// Back, it begins at 0, and has to earn its place like any other.
	w.match("junk-1", 12)
	w.match("often", 1)
	w.signatures("_other 17", "junk-1 4", "junk-2 2", "often 4")
}

// TestFrozenValueStaysFrozen has a value that was just displaced come back with force.
func TestFrozenValueStaysFrozen(t *testing.T) {
	w := newWorld(t, 1)
	w.match("first", 1)
	w.match("second", 20)
	w.signatures("_other 8", "first 1", "second 12")
	w.match("first", 500)
	w.signatures("_other 508", "first 1", "second 12")
	w.wait(5 * time.Minute)
	w.match("first", 1)
	// It was seen more often even so, and displaces the other.
	w.signatures("_other 508", "first 1", "second 12")
	w.wait(5 * time.Minute)
	w.match("first", 1)
	w.signatures("_other 508", "first 2")
}

// TestEquallyFrequentValuesStay has a flood of values that each come as often as those with series.
func TestEquallyFrequentValuesStay(t *testing.T) {
	w := newWorld(t, 10)
	for range 100 {
		for i := range 30 {
			w.match(fmt.Sprintf("value-%02d", i), 1)
		}
	}
	text := w.exposition()
	for i := range 10 {
		if want := fmt.Sprintf("smithproxy_signatures_total{signature=\"value-%02d\",source=\"edge-1\"} 100\n", i); !strings.Contains(text, want) {
			t.Errorf("%s is not there", want)
		}
	}
}

// TestUnchangedSeriesGo is about each series by itself.
func TestUnchangedSeriesGo(t *testing.T) {
	w := newWorld(t, 10)
	w.match("once", 1)
	w.match("again", 1)
	w.wait(14 * time.Minute)
	w.match("again", 1)
	w.wait(time.Minute)
	w.signatures("_other 0", "again 2")
	w.match("once", 1)
	w.signatures("_other 0", "again 2", "once 1")
}

// TestSilentProxy has only what says that it is silent stay.
func TestSilentProxy(t *testing.T) {
	w := newWorld(t, 10)
	w.send(event.ActionPing, "", event.Ping{Instance: "Proxy-A1"})
	w.connection("Proxy-A1-OID-1", event.Stop{TLS: true, SNI: "example.com"})
	w.wait(time.Hour)
	var left []string
	families, err := w.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, l := range f.GetMetric()[0].GetLabel() {
			if l.GetName() == "source" {
				left = append(left, f.GetName())
			}
		}
	}
	want := []string{
		"smithproxy_connections_active", "smithproxy_instance_info", "smithproxy_last_ping_timestamp_seconds",
		"smithproxy_neighbors", "smithproxy_pings_total", "smithproxy_restarts_total", "smithproxy_up",
	}
	if !slices.Equal(left, want) {
		t.Errorf("%v are left, want %v", left, want)
	}
	w.shows("smithproxy_up", `{source="edge-1"} 0`)
	w.send(event.ActionPing, "", event.Ping{Instance: "Proxy-A1"})
	w.shows("smithproxy_pings_total", `{source="edge-1"} 2`)
	w.shows("smithproxy_restarts_total", `{source="edge-1"} 0`)
	w.shows("smithproxy_connections_adopted_total", `{source="edge-1"} 0`)
}

// TestSumsAreExact plays a changing stream and looks on as a scraper: each series only grows, and all that
// every scrape saw grow adds up to what came, once each series was scraped after its last increment.
func TestSumsAreExact(t *testing.T) {
	const slots, scrape = 8, 30 * time.Second
	w := newWorld(t, slots)
	random := rand.New(rand.NewPCG(1, 2))
	last := map[string]float64{} // by series, as scraped last
	increase, came := 0.0, 0.0
	gather := func() {
		families, err := w.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() != "smithproxy_signatures_total" {
				continue
			}
			now := map[string]float64{}
			for _, m := range f.GetMetric() {
				now[value(m, "signature")] = m.GetCounter().GetValue()
			}
			if len(now) > 2*slots+1 {
				t.Fatalf("%d series: %v", len(now), now)
			}
			for name, n := range now {
				if n < last[name] {
					t.Fatalf("%s fell from %v to %v", name, last[name], n)
				}
				increase += n - last[name]
			}
			last = now // one that is not there begins at 0 when it comes back
		}
	}
	for minute := range 600 {
		for range 2 {
			for range 50 {
				// What is frequent moves on every 20 minutes; a third is junk that never comes again.
				name := fmt.Sprintf("common-%d", minute/20*3+random.IntN(6))
				if random.IntN(3) == 0 {
					name = fmt.Sprintf("junk-%d", random.Uint64())
				}
				w.match(name, 1)
				came++
			}
			gather()
			w.wait(scrape)
		}
	}
	if increase != came {
		t.Errorf("scrapes saw %v increments of %v", increase, came)
	}
	t.Logf("%v of %v are in _other", last[other], came)
	if last[other] > came/2 {
		t.Errorf("%v of %v are in _other, of which a third is junk", last[other], came)
	}
}

func value(m *dto.Metric, label string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == label {
			return l.GetValue()
		}
	}
	return ""
}

// TestDistinctValues allows for four standard errors.
func TestDistinctValues(t *testing.T) {
	w := newWorld(t, 2)
	for i := range 20_000 {
		w.match(fmt.Sprint(i%10_000), 1)
	}
	families, err := w.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "smithproxy_exporter_distinct_values" {
			continue
		}
		for _, m := range f.GetMetric() {
			n := m.GetGauge().GetValue()
			if value(m, "metric") == "smithproxy_signatures_total" && (n < 9080 || n > 10920) {
				t.Errorf("%v distinct values, of 10000", n)
			}
		}
	}
}

// TestReservedValues has the network say the words that stand for others.
func TestReservedValues(t *testing.T) {
	w := newWorld(t, 2)
	w.match(other, 3)
	w.signatures("_other 3")
	w.send(event.ActionNeighbor, "", event.Neighbor{State: event.NeighborNew, Addresses: []string{other, "a", "b", "c"}})
	if _, err := w.Gather(); err != nil {
		t.Error(err)
	}
}

// TestSourcesOfOneLabel has two proxies whose names differ only in what no label can hold.
func TestSourcesOfOneLabel(t *testing.T) {
	w := newWorld(t, 2)
	for _, source := range []string{"a\x00", "a\x01", "a\x00"} {
		w.sink.Take(track.ProxyAppeared{Source: source})
		w.sink.Take(track.Received{Source: source, Action: event.ActionPing})
	}
	w.shows("smithproxy_pings_total", `{source="a`+"\ufffd"+`"} 3`)
	w.sink.Take(track.ProxyForgotten{Source: "a\x00"})
	w.shows("smithproxy_pings_total", `{source="a`+"\ufffd"+`"} 3`)
	w.sink.Take(track.ProxyForgotten{Source: "a\x01"})
	w.shows("smithproxy_pings_total")
}

func TestCandidates(t *testing.T) {
	c := newCandidates[string](3)
	for _, s := range []string{"a", "a", "a", "b", "b", "c"} {
		c.see(s)
	}
	if n := c.see("d"); n != 1 {
		t.Errorf("d was seen %d times for certain, want 1", n)
	}
	if _, ok := c.byValue["c"]; ok {
		t.Error("c is still there, which was seen least")
	}
	if d := c.byValue["d"]; d.count != 2 || d.over != 1 {
		t.Errorf("d was seen %d times, %d of them perhaps, want 2 and 1", d.count, d.over)
	}
	c.halve()
	c.halve()
	if len(c.byValue) != 0 || len(c.heap) != 0 {
		t.Errorf("left are %v", c.byValue)
	}
}
