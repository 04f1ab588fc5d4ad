package track

import (
	"fmt"
	"testing"
	"time"

	"smithproxy_exporter/exporter/event"
)

func TestRestartIsCountedOnce(t *testing.T) {
	w := newWorld(t)
	w.start(idA)
	w.ping("Proxy-B2")
	w.info(idA, "") // a straggler of the one before
	w.ping("Proxy-A1")
	w.start(idB)
	if n := count[ProxyRestarted](w.recorder); n != 1 {
		t.Errorf("%d restarts, want 1", n)
	}
	if got := w.status().Instance; got != "Proxy-B2" {
		t.Errorf("instance is %q", got)
	}
}

func TestProxyWithoutInfosHasNoGracePeriod(t *testing.T) {
	w := newWorld(t)
	for i := range infoEvidence {
		id := fmt.Sprintf("Proxy-A1-OID-%X", i)
		w.start(id)
		w.stop(id)
	}
	w.pass(DefaultConfig().Connections.GracePeriod)
	before := len(w.finished)
	w.start("Proxy-A1-OID-FFFF")
	w.stop("Proxy-A1-OID-FFFF")
	if len(w.finished) != before+1 {
		t.Error("a stopped connection still waits for an info")
	}
	// The first info that does come is late, and changes that.
	w.info("Proxy-A1-OID-FFFF", "")
	if n := count[Late](w.recorder); n != 1 {
		t.Errorf("%d late events, want 1", n)
	}
	w.start("Proxy-A1-OID-FFFE")
	w.stop("Proxy-A1-OID-FFFE")
	if len(w.finished) != before+1 {
		t.Error("a stopped connection does not wait for an info")
	}
}

func TestLateEventsSayOnlyWhatIsNew(t *testing.T) {
	w := newWorld(t)
	w.start(idA)
	w.info(idA, "")
	w.pass(DefaultConfig().Connections.GracePeriod)
	w.wantFinished(ReasonLost)
	w.stop(idA)
	w.stop(idA)
	w.start(idA)
	w.info(idA, "")
	if stopped, late, repeats := count[Stopped](w.recorder), count[Late](w.recorder), repeats(w.recorder); stopped != 1 || late != 1 || repeats != 3 {
		t.Errorf("stopped %d late %d duplicate %d, want 1 1 3", stopped, late, repeats)
	}
	if n := count[Ended](w.recorder); n != 1 {
		t.Errorf("closed %d times", n)
	}
}

func TestLateStartHasNoDuration(t *testing.T) {
	w := newWorld(t)
	w.stop(idA)
	w.pass(DefaultConfig().Connections.GracePeriod)
	w.wantFinished(ReasonStop)
	w.start(idA)
	for _, f := range w.facts {
		if o, ok := f.(Started); ok {
			if d, known := o.C.Duration(); known {
				t.Errorf("duration %v of a record that has no end", d)
			}
		}
	}
}

func TestProxyLiveness(t *testing.T) {
	w := newWorld(t)
	if w.start(idA); !w.status().Unknown {
		t.Error("it is known whether a proxy is up that has not pinged")
	}
	w.ping("Proxy-A1", idA)
	w.pass(w.config.Proxies.PingTimeout)
	if s := w.status(); !s.Up || s.Unknown || !s.PingedAt.Equal(epoch) {
		t.Errorf("%+v, want it up within the timeout", s)
	}
	w.pass(1)
	if s := w.status(); s.Up || s.Unknown {
		t.Errorf("%+v, want it down", s)
	}
	w.pass(w.config.Proxies.DownTimeout)
	w.wantFinished(ReasonLost)
	w.pass(w.config.Proxies.ForgetAfter + 1)
	if n := count[ProxyForgotten](w.recorder); n != 1 {
		t.Errorf("forgotten %d times, want 1", n)
	}
	for key := range w.store.records {
		t.Errorf("%v is left in the store", key)
	}
}

func TestNeighbors(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Proxies.MaxNeighbors = 2 })
	seen := func(state event.NeighborState, addresses ...string) {
		w.send(event.ActionNeighbor, "", event.Neighbor{State: state, Addresses: addresses})
	}
	for range 5 { // one delivery and four repeats
		seen(event.NeighborNew, "10.0.0.1")
	}
	discovered := countIf(w.recorder, func(n NeighborSeen) bool { return n.Discovered })
	if alive := w.status().Neighbors; discovered != 1 || alive != 1 {
		t.Errorf("discovered %d, alive %d, want 1 and 1", discovered, alive)
	}
	w.pass(time.Minute)
	seen("update", "10.0.0.2", "10.0.0.3")
	if alive := w.status().Neighbors; alive != 2 {
		t.Errorf("alive %d, want the bound of 2", alive)
	}
	w.pass(w.config.Proxies.NeighborWindow)
	if alive := w.status().Neighbors; alive != 0 {
		t.Errorf("alive %d after the window, want 0", alive)
	}
}

// TestMemoryIsGivenBack plays many connections, and expects nothing of them to be left, but for the latest
// tombstones.
func TestMemoryIsGivenBack(t *testing.T) {
	w := newWorld(t)
	for i := range 20_000 {
		id := fmt.Sprintf("Proxy-A1-OID-%X", i)
		w.ask(event.Accept, event.PolicyUnknown)
		w.start(id)
		w.stop(id)
		w.info(id, event.Accept)
		w.pass(100 * time.Millisecond)
		w.facts, w.finished = nil, nil
	}
	w.pass(2 * w.config.Connections.GracePeriod)
	p := w.tracker.proxies[source]
	left := map[string]int{
		"connections": p.conns.len(), "ids": len(p.conns.latest), "clients": len(p.conns.byClient), "pasts of records": len(p.conns.past),
		"decisions": len(p.decisions.byClient), "ids of decisions": len(p.decisions.byID), "pending": len(p.decisions.pending),
		"closed decisions": len(p.decisions.closed), "deadlines": len(w.tracker.deadlines.heap),
		"decision queue": p.decisions.queue.len(), "tombstones beyond the bound": max(0, len(w.tracker.pasts.byID)-recentPasts),
		"tasks": len(w.tracker.tasks), "stored records": len(w.store.records) - 1,
	}
	for what, n := range left {
		if n != 0 {
			t.Errorf("%d %s are left", n, what)
		}
	}
	if n := len(w.store.tombstones); n != 20_000 {
		t.Errorf("%d tombstones are stored, want 20,000", n)
	}
}

func TestTooManyConnections(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Connections.MaxOpen = 2 })
	for i := range 3 {
		w.start(fmt.Sprintf("Proxy-A1-OID-%X", i))
	}
	w.wantFinished(ReasonEvicted)
	if id := w.finished[0].ID; id != "Proxy-A1-OID-0" {
		t.Errorf("%s went, want the oldest", id)
	}
}
