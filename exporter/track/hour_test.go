package track

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestHourWithLostStops simulates an hour of a proxy that loses 1% of its stops, and of a few of its
// starts, as its pings list what is open: late for a connection that is new, late for UDP that is over.
func TestHourWithLostStops(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { t.Parallel(); simulateHour(t, rand.New(rand.NewPCG(seed, 0))) })
	}
}

const (
	hourInterval = 2 * time.Minute // between pings
	hourEvery    = 300 * time.Millisecond
	latest       = 20 * time.Second // that an event comes after what it tells
)

// lived is one connection as its proxy knows it, in time since the begin.
type lived struct {
	id               string
	begin, end       time.Duration
	listed, unlisted time.Duration // when lists begin and cease to have it
	lost             bool          // its stop never arrives
}

// happening is something that is received, as time goes on.
type happening struct {
	at time.Duration
	do func(w *world)
}

func simulateHour(t *testing.T, random *rand.Rand) {
	w := newWorld(t)
	byID := map[string]*lived{}
	var script []happening
	for i, begin := 0, time.Duration(0); begin < time.Hour; i, begin = i+1, begin+hourEvery {
		c := newLived(random, i, begin)
		byID[c.id] = c
		script = append(script, c.happenings(random)...)
	}
	conns := slices.SortedFunc(maps.Values(byID), func(a, b *lived) int { return cmp.Compare(a.begin, b.begin) })
	for at := 10 * time.Second; at < time.Hour; at += hourInterval {
		script = append(script, happening{at, func(w *world) { w.ping("Proxy-A1", openAt(conns, at)...) }})
	}
	script = slices.DeleteFunc(script, func(h happening) bool { return h.at > time.Hour })
	slices.SortStableFunc(script, func(a, b happening) int { return cmp.Compare(a.at, b.at) })

	longest, over := time.Duration(0), newOver(conns)
	for _, h := range script {
		for w.now+tickOfHour < h.at {
			w.pass(tickOfHour)
		}
		w.pass(h.at - w.now)
		h.do(w)
		longest = max(longest, over.overdue(w))
	}
	if bound := 2*hourInterval + DefaultConfig().Connections.GracePeriod; longest > bound {
		t.Errorf("a connection was open for %v after its end, want at most %v", longest, bound)
	}
	lost := checkHour(t, w, byID)
	t.Logf("%d connections, %d lost; open for at most %v after its end", len(byID), lost, longest)
}

const tickOfHour = 250 * time.Millisecond

func newLived(random *rand.Rand, i int, begin time.Duration) *lived {
	c := &lived{id: fmt.Sprintf("Proxy-A1-OID-%X", i), begin: begin, lost: random.IntN(100) == 0}
	// From a millisecond to an hour, most of them short.
	c.end = begin + time.Duration(float64(time.Millisecond)*pow10(random.Float64()*6.5))
	c.listed = begin + time.Duration(random.IntN(5000))*time.Millisecond
	c.unlisted = c.end
	if i%3 == 0 { // UDP
		c.unlisted += time.Duration(random.IntN(5000)) * time.Millisecond
	}
	return c
}

func pow10(x float64) float64 {
	v := 1.0
	for ; x >= 1; x-- {
		v *= 10
	}
	return v * (1 + 9*x)
}

// happenings are its start and its stop, each late by up to the five tries of a proxy.
func (c *lived) happenings(random *rand.Rand) []happening {
	late := func() time.Duration {
		if random.IntN(50) == 0 {
			return time.Duration(random.Int64N(int64(latest/time.Millisecond))) * time.Millisecond
		}
		return time.Duration(random.IntN(40)) * time.Millisecond
	}
	h := []happening{{c.begin + late(), func(w *world) { w.start(c.id) }}}
	if !c.lost {
		h = append(h, happening{c.end + late(), func(w *world) { w.stop(c.id) }})
	}
	return h
}

func openAt(conns []*lived, at time.Duration) []string {
	var ids []string
	for _, c := range conns {
		if c.listed <= at && at < c.unlisted {
			ids = append(ids, c.id)
		}
	}
	return ids
}

// over are the connections that are over for their proxy, and may not be for the tracker.
type over struct {
	coming []*lived // by their ends
	held   []*lived
}

func newOver(conns []*lived) *over {
	return &over{coming: slices.SortedFunc(slices.Values(conns), func(a, b *lived) int { return cmp.Compare(a.end, b.end) })}
}

// overdue is for how long, at the most, a connection has been over that is still held for open.
func (o *over) overdue(w *world) (longest time.Duration) {
	for len(o.coming) > 0 && o.coming[0].end <= w.now {
		o.held, o.coming = append(o.held, o.coming[0]), o.coming[1:]
	}
	o.held = slices.DeleteFunc(o.held, func(l *lived) bool {
		c, known := w.tracker.Connection(source, l.id)
		if known && c.State == StateOpen && c.listed {
			longest = max(longest, w.now-l.end)
		}
		return !known && w.now > l.end+latest // it is closed, for no start is under way
	})
	return longest
}

// checkHour expects that only what was over has been closed, and returns how much of it was lost.
func checkHour(t *testing.T, w *world, byID map[string]*lived) int {
	t.Helper()
	lost := 0
	for _, c := range w.finished {
		l := byID[c.ID]
		if end, _ := c.End(); c.Reason() == ReasonStop && end.Before(epoch.Add(l.end)) {
			t.Errorf("%s was closed as %s at %s, but lived until %s", c.ID, c.Reason(), end.Sub(epoch), l.end)
		}
		if want := map[bool]Reason{true: ReasonLost, false: ReasonStop}[l.lost]; c.Reason() != want {
			t.Errorf("%s was closed as %s, want %s", c.ID, c.Reason(), want)
		}
		if l.lost {
			lost++
		}
	}
	if late := count[Late](w.recorder); late > 0 {
		t.Errorf("%d events were late", late)
	}
	return lost
}
