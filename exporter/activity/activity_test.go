package activity

import (
	"fmt"
	"testing"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// epoch is at the beginning of a step.
var epoch = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// clock is a clock that is set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time       { return c.at }
func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }

func newTest() (*Activity, *clock) {
	c := &clock{epoch}
	return New(c.now), c
}

func start(source, id string) track.Started {
	return track.Started{C: &track.Connection{Source: source, ID: id, N: 1}}
}

func stopped(source, client, sni string, up, down uint64) track.Stopped {
	return track.Stopped{C: &track.Connection{
		Source: source, ID: "x", N: 1, Label: "tcp_" + client + ":40000+tcp_192.0.2.1:443",
		Stop: &event.Stop{SNI: sni, App: "http1", BytesUp: up, BytesDown: down},
	}}
}

func TestRates(t *testing.T) {
	a, c := newTest()
	for range 8 { // two minutes, 3 connections, 1 reject and 1,500 bytes in each step
		for range 3 {
			a.Take(start("edge", "Proxy-A1-SID-1"))
		}
		a.Take(stopped("edge", "10.0.0.1", "a", 500, 1000))
		a.Take(track.Decided{D: &track.Decision{Source: "edge", Verdict: event.Reject, Rule: "r"}})
		a.Take(track.Decided{D: &track.Decision{Source: "edge", Verdict: event.Reject, Rule: "r"}, Repeat: true})
		a.Take(track.ProxyStatus{Source: "edge", Up: true, Open: 7})
		c.pass(step)
	}
	for what, got := range map[string]Rates{"total": a.Total(), "edge": a.Proxies()[0].Rates} {
		if got.Connections != 3/step.Seconds() || got.Bytes != 1500/step.Seconds() || got.Rejects != 1/step.Seconds() || got.Open != 7 {
			t.Errorf("%s: %v connections/s, %v B/s, %v rejects/s, %d open", what, got.Connections, got.Bytes, got.Rejects, got.Open)
		}
		s := got.Series
		if len(s.Connections) != steps || len(s.Bytes) != steps || len(s.Rejects) != steps || len(s.Open) != steps {
			t.Fatalf("%s: the series have %d, %d, %d and %d steps", what, len(s.Connections), len(s.Bytes), len(s.Rejects), len(s.Open))
		}
		if s.Connections[steps-1] != 3/step.Seconds() || s.Connections[steps-8] != 3/step.Seconds() || s.Connections[steps-9] != 0 || s.Open[steps-1] != 7 {
			t.Errorf("%s: the series is %v", what, s.Connections)
		}
		if !got.End.Equal(c.at) || got.Step != step {
			t.Errorf("%s: the series ends at %v", what, got.End)
		}
	}
	c.pass(time.Hour)
	if got := a.Total(); got.Connections != 0 || got.Open != 7 || got.Series.Open[0] != 7 || got.Series.Connections[0] != 0 {
		t.Errorf("an hour later: %+v", got)
	}
}

// Shortly after the start the average is over the time since then.
func TestRatesAfterStart(t *testing.T) {
	a, c := newTest()
	c.pass(5 * time.Second)
	for range 10 {
		a.Take(start("edge", "x"))
	}
	if got := a.Total().Connections; got != 2 {
		t.Errorf("%v connections/s, want 10 in 5 s", got)
	}
}

func TestProxies(t *testing.T) {
	a, c := newTest()
	a.Take(track.ProxyStatus{Source: "b", Unknown: true})
	a.Take(track.Received{Source: "a"})
	a.Take(track.Received{Source: "strange", Outcome: track.Untracked})
	a.Take(start("a", "Proxy-A1-PTR-1"))
	a.Take(track.ProxyStatus{Source: "a", Up: true, Open: 1, PingedAt: c.at})
	proxies := a.Proxies()
	if len(proxies) != 2 || proxies[0].Status.Source != "a" || proxies[1].Status.Source != "b" {
		t.Fatalf("proxies %+v", proxies)
	}
	if p := proxies[0]; p.Generation != "ptr" || !p.HeardAt.Equal(epoch) || !p.Status.Up || p.Status.Open != 1 {
		t.Errorf("a is %+v", p)
	}
	if p := proxies[1]; !p.HeardAt.IsZero() || !p.Status.Unknown || p.Generation != "" {
		t.Errorf("b is %+v", p)
	}
	a.Take(track.ProxyForgotten{Source: "a"})
	if len(a.Proxies()) != 1 || a.open != 0 {
		t.Errorf("after it was forgotten: %+v, %d open", a.Proxies(), a.open)
	}
}

func TestGeneration(t *testing.T) {
	for id, want := range map[string]string{
		"Proxy-1234ABCD-OID-1": "2025", "Proxy-1234ABCD-PTR-1F": "ptr", "Proxy-1234ABCD-SID-2": "2026", "Proxy-1234ABCD-NEW-2": "", "1": "",
	} {
		if got := generation(id); got != want {
			t.Errorf("generation(%s) = %q, want %q", id, got, want)
		}
	}
}

// sum checks that rows and rest are the total.
func sum(t *testing.T, table Top) {
	t.Helper()
	all := table.Other
	for _, r := range table.Rows {
		all.add(r.Counts)
	}
	if all != table.Total {
		t.Errorf("rows and the rest are %+v, the total is %+v", all, table.Total)
	}
}

func TestTopOfWindows(t *testing.T) {
	a, c := newTest()
	for range 3 * 24 * 2 { // two connections an hour for three days
		a.Take(stopped("edge", "10.0.0.1", "a.example", 1, 2))
		c.pass(30 * time.Minute)
	}
	a.Take(stopped("edge", "10.0.0.2", "", 10, 20))
	for window, most := range map[Window]uint64{FiveMinutes: 1, Hour: 3, Day: 51} {
		table := a.Top(Clients, window)
		sum(t, table)
		if table.Total.Connections < most-2 && window != FiveMinutes || table.Total.Connections > most {
			t.Errorf("window %d has %d connections, want about %d", window, table.Total.Connections, most)
		}
	}
	names := a.Top(SNIs, FiveMinutes)
	if len(names.Rows) != 0 || names.Other.Connections != 1 {
		t.Errorf("a connection without SNI: %+v", names)
	}
	sum(t, names)
}

// A flood of values does not drive out those with much traffic, and does not grow the memory.
func TestTopInAFlood(t *testing.T) {
	a, c := newTest()
	const flood = 100_000
	for i := range flood {
		a.Take(stopped("edge", fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), fmt.Sprint("x", i, ".example"), 1, 1))
		if i%10 == 0 {
			a.Take(stopped("edge", "192.0.2.7", "often.example", 0, 0))
		}
		if i == flood/2 {
			a.Take(stopped("edge", "192.0.2.8", "large.example", 1<<40, 0))
		}
		if i%1000 == 0 {
			c.pass(10 * time.Second)
		}
	}
	for _, d := range []Dimension{Clients, SNIs} {
		table := a.Top(d, Hour)
		sum(t, table)
		rows := map[string]Counts{}
		for _, r := range table.Rows {
			rows[r.Value] = r.Counts
		}
		often, large := rows[[]string{"192.0.2.7", "", "often.example"}[d]], rows[[]string{"192.0.2.8", "", "large.example"}[d]]
		if often.Connections < flood/10*9/10 || large.Up != 1<<40 {
			t.Errorf("of what is seen often %+v is counted, of what is large %+v", often, large)
		}
		for w := range a.tops[d].current {
			if n := len(a.tops[d].current[w].rows); n > maxRows {
				t.Errorf("window %d has %d rows", w, n)
			}
			for _, b := range a.tops[d].past[w] {
				if len(b.rows) > 2*keptRows {
					t.Errorf("an ended bucket has %d rows", len(b.rows))
				}
			}
		}
		if len(a.tops[d].past[Hour]) > buckets[Hour].number {
			t.Errorf("%d buckets are kept", len(a.tops[d].past[Hour]))
		}
	}
}

func TestTopAfterSilence(t *testing.T) {
	a, c := newTest()
	a.Take(stopped("edge", "10.0.0.1", "a", 1, 1))
	c.pass(30 * 24 * time.Hour)
	for w := range windows {
		if table := a.Top(Clients, w); table.Total.Connections != 0 || len(table.Rows) != 0 {
			t.Errorf("a month later window %d has %+v", w, table)
		}
	}
	a.Take(stopped("edge", "10.0.0.1", "a", 1, 1))
	if table := a.Top(Clients, Day); table.Total.Connections != 1 {
		t.Errorf("a new connection: %+v", table)
	}
}

func TestDecisions(t *testing.T) {
	a, _ := newTest()
	for i := range maxRecent + 10 {
		d := &track.Decision{ID: fmt.Sprint(i), Rule: "r", Received: epoch.Add(time.Duration(i) * time.Second), Repeats: []string{"x"}}
		if i%2 == 0 {
			d.DryRunRule = "new"
		}
		a.Take(track.Decided{D: d})
	}
	recent := a.Decisions()
	if len(recent) != maxRecent || recent[0].ID != fmt.Sprint(maxRecent+9) || recent[maxRecent-1].ID != "10" || recent[0].Repeats != nil {
		t.Errorf("%d decisions from %s to %s", len(recent), recent[0].ID, recent[len(recent)-1].ID)
	}
	hits := a.RuleHits([]string{"r", "new", "none"})
	if hits[0].Hits != maxRecent+10 || hits[1].DryRunHits != maxRecent/2+5 || hits[1].Hits != 0 || hits[2] != (RuleHits{}) {
		t.Errorf("hits %+v", hits)
	}
	if want := epoch.Add((maxRecent + 9) * time.Second); !hits[0].LastHit.Equal(want) {
		t.Errorf("the last hit was at %v, want %v", hits[0].LastHit, want)
	}
}

func TestRefusals(t *testing.T) {
	a, c := newTest()
	a.Refused("secret")
	c.pass(time.Minute)
	a.Refused("secret")
	a.Refused("size")
	got := a.Refusals()
	if len(got) != 2 || got[0] != (Refusals{"secret", 2, c.at}) || got[1] != (Refusals{"size", 1, c.at}) {
		t.Errorf("refusals %v", got)
	}
	c.pass(20 * time.Minute)
	if got := a.Refusals(); got != nil {
		t.Errorf("20 minutes later: %v", got)
	}
}

// BenchmarkConnection has the facts of one connection: start, stop, end, and the status of its proxy.
func BenchmarkConnection(b *testing.B) {
	a := New(time.Now)
	facts := []track.Fact{
		track.Received{Source: "edge"}, start("edge", "Proxy-A1-SID-1"), track.Received{Source: "edge"},
		stopped("edge", "10.0.0.1", "www.example.com", 1000, 2000), track.Received{Source: "edge"}, track.ProxyStatus{Source: "edge", Open: 1},
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, f := range facts {
			a.Take(f)
		}
	}
}

// BenchmarkFlood has a new client and SNI in each connection.
func BenchmarkFlood(b *testing.B) {
	a := New(time.Now)
	facts := make([]track.Fact, 100_000)
	for i := range facts {
		facts[i] = stopped("edge", fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), fmt.Sprint("x", i, ".example"), 1, 1)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		a.Take(facts[i%len(facts)])
	}
}
