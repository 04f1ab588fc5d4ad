package collector

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// TestSeriesComeAndGo adds and drops series at random between scrapes, each of which must show the ones that exist, in
// order. Labels come again.
func TestSeriesComeAndGo(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	m := &metric{name: "m", kind: dto.MetricType_GAUGE}
	live := map[string]*series{}
	for step := range 20_000 {
		name := fmt.Sprint(random.IntN(50))
		if s, ok := live[name]; ok {
			s.drop()
			s.drop() // has no effect
			delete(live, name)
		} else {
			live[name] = m.with(epoch, pair("name", name))
			live[name].set(float64(step))
		}
		if len(m.added) > len(live) {
			t.Fatalf("%d series wait for a scrape, of %d", len(m.added), len(live))
		}
		if random.IntN(10) > 0 {
			continue
		}
		m.take()
		m.merge()
		var got, want []string
		for _, each := range m.family().GetMetric() {
			got = append(got, fmt.Sprint(value(each, "name"), " ", each.GetGauge().GetValue()))
		}
		for name, s := range live {
			want = append(want, fmt.Sprint(name, " ", s.value()))
		}
		slices.SortFunc(want, func(a, b string) int {
			var x, y string
			fmt.Sscan(a, &x)
			fmt.Sscan(b, &y)
			if x < y {
				return -1
			}
			return 1
		})
		if !slices.Equal(got, want) {
			t.Fatalf("step %d: %v, want %v", step, got, want)
		}
	}
}

// TestManyValuesExpire has more values expire than a step of a sweep removes.
func TestManyValuesExpire(t *testing.T) {
	w := newWorld(t, 5*sweepSlots)
	for i := range 5 * sweepSlots {
		w.match(fmt.Sprintf("value-%03d", i), 1)
	}
	w.wait(DefaultConfig().Expiry - time.Second)
	w.match("value-000", 1)
	w.wait(time.Second)
	w.signatures("_other 0", "value-000 2")
}

// TestSweepsInSteps has a sweep happen without scrapes, a step a fact.
func TestSweepsInSteps(t *testing.T) {
	w := newWorld(t, 5*sweepSlots)
	for i := range 5 * sweepSlots {
		w.match(fmt.Sprint(i), 1)
	}
	added := func() int {
		for _, m := range w.sink.metrics {
			if m.name == "smithproxy_signatures_total" {
				return len(m.added)
			}
		}
		return 0
	}
	w.now = w.now.Add(DefaultConfig().Expiry)
	last := added()
	for range 100 {
		w.match("new", 1)
		n := added()
		if last-n > sweepSlots {
			t.Fatalf("%d values went with one fact", last-n)
		}
		last = n
	}
	if last != 2 { // new and _other
		t.Errorf("%d series are left, want 2", last)
	}
}

// TestRulesChangeMeanwhile changes the access rules while facts come and scrapes go on, for the race detector.
func TestRulesChangeMeanwhile(t *testing.T) {
	sink := New(DefaultConfig(), time.Now)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			sink.useAccessRules(accessRules{answers: []accessAnswer{{"reject", fmt.Sprint(i % 3)}, {"accept", "default"}}})
			if _, err := sink.Gather(); err != nil {
				t.Error(err)
			}
		}
	}()
	decisions := 0
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		source := fmt.Sprint("edge-", decisions%20)
		sink.Take(track.Decided{D: &track.Decision{Source: source, Verdict: event.Accept, Rule: "default", Received: epoch, Answered: epoch}})
		decisions++
	}
	families, err := sink.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "smithproxy_access_requests_total" {
			continue
		}
		sum := 0.0
		for _, m := range f.GetMetric() {
			sum += m.GetCounter().GetValue()
		}
		if int(sum) != decisions {
			t.Errorf("%v decisions are counted of %d", sum, decisions)
		}
	}
}
