package track

import (
	"fmt"
	"testing"
	"time"

	"smithproxy_exporter/exporter/event"
)

const (
	source = "sx-lab-1"
	label  = "tcp_10.77.1.2:40762+tcp_10.77.2.2:8080"
	idA    = "Proxy-A1-OID-1"
	idB    = "Proxy-B2-OID-1"
)

// world is a tracker with a clock.
type world struct {
	t *testing.T
	*recorder
	tracker *Tracker
	now     time.Time
}

func newWorld(t *testing.T, change ...func(*Options)) *world {
	opts := DefaultOptions()
	for _, c := range change {
		c(&opts)
	}
	r := &recorder{}
	return &world{t: t, recorder: r, tracker: New(opts, r.take), now: epoch}
}

func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.tracker.Advance(w.now)
}

func (w *world) send(action event.Action, id string, payload any) {
	w.tracker.Apply(event.Event{Action: action, Source: source, ID: id, Payload: payload}, w.now)
}

func (w *world) start(id string) { w.startAs(id, label) }

func (w *world) startAs(id, label string) {
	w.send(event.ActionStart, id, event.Start{Session: label})
}

func (w *world) stop(id string) {
	w.send(event.ActionStop, id, event.Stop{Session: label, BytesUp: 10, BytesDown: 20})
}

func (w *world) info(id string, echo event.Verdict) {
	i := event.Info{Statistics: &event.Statistics{Session: label, Up: &event.Entropy{Bits: 5, Sampled: 10}}}
	if echo != "" {
		i = event.Info{Echo: &event.Echo{Session: label, Verdict: echo}}
	}
	w.send(event.ActionInfo, id, i)
}

func (w *world) ping(instance string, open ...string) {
	w.send(event.ActionPing, "", event.Ping{Instance: instance, Listed: true, Open: open})
}

func (w *world) ask(verdict event.Verdict, policy int) {
	w.tracker.Decide(Decision{
		Source: source, ID: "d", Label: label, Policy: policy, Verdict: verdict, Rule: "r",
		Received: w.now, Answered: w.now.Add(time.Millisecond),
	})
}

func (w *world) wantFinished(reasons ...Reason) {
	w.t.Helper()
	var got []Reason
	for _, c := range w.finished {
		got = append(got, c.Reason)
	}
	if fmt.Sprint(got) != fmt.Sprint(reasons) {
		w.t.Fatalf("finished %v, want %v", got, reasons)
	}
}

func TestRestartIsCountedOnce(t *testing.T) {
	w := newWorld(t)
	w.start(idA)
	w.ping("Proxy-B2")
	w.info(idA, "") // a straggler of the one before
	w.ping("Proxy-A1")
	w.start(idB)
	if n := count[InstanceChanged](w.recorder); n != 2 { // the first one, and the restart
		t.Errorf("%d changes of instance, want 2", n)
	}
}

func TestProxyWithoutInfosPaysNoLinger(t *testing.T) {
	w := newWorld(t)
	for i := range infoEvidence {
		id := fmt.Sprintf("Proxy-A1-OID-%X", i)
		w.start(id)
		w.stop(id)
	}
	w.pass(DefaultOptions().Linger)
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
	w.pass(DefaultOptions().Linger)
	w.wantFinished(ReasonLost)
	w.stop(idA)
	w.stop(idA)
	w.start(idA)
	w.info(idA, "")
	if stopped, late, repeats := count[Stopped](w.recorder), count[Late](w.recorder), count[Duplicate](w.recorder); stopped != 1 || late != 1 || repeats != 3 {
		t.Errorf("stopped %d late %d duplicate %d, want 1 1 3", stopped, late, repeats)
	}
	if n := count[Closed](w.recorder); n != 1 {
		t.Errorf("closed %d times", n)
	}
}

func TestLateStartHasNoDuration(t *testing.T) {
	w := newWorld(t)
	w.stop(idA)
	w.pass(DefaultOptions().Linger)
	w.wantFinished(ReasonStop)
	w.start(idA)
	for _, f := range w.facts {
		if o, ok := f.(Opened); ok {
			if d, known := o.C.Duration(); known {
				t.Errorf("duration %v of a record that has no end", d)
			}
		}
	}
}

func TestProxyLiveness(t *testing.T) {
	opts := DefaultOptions()
	w := newWorld(t)
	w.ping("Proxy-A1")
	w.pass(opts.PingTimeout)
	if n := count[ProxySilent](w.recorder); n != 0 {
		t.Errorf("silent within the timeout")
	}
	w.pass(1)
	w.pass(time.Hour)
	if n := count[ProxySilent](w.recorder); n != 1 {
		t.Errorf("silent %d times, want 1", n)
	}
	w.start(idA)
	w.pass(opts.ForgetAfter + 1)
	if n := count[ProxyForgotten](w.recorder); n != 1 {
		t.Errorf("forgotten %d times, want 1", n)
	}
	w.wantFinished(ReasonLost)
}

func TestNeighbors(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxNeighbors = 2 })
	alive := func() int {
		for i := len(w.facts) - 1; i >= 0; i-- {
			if n, ok := w.facts[i].(NeighborsAlive); ok {
				return n.Count
			}
		}
		return 0
	}
	seen := func(state event.NeighborState, addresses ...string) {
		w.send(event.ActionNeighbor, "", event.Neighbor{State: state, Addresses: addresses})
	}
	for range 5 { // one delivery and four repeats
		seen(event.NeighborNew, "10.0.0.1")
	}
	discovered := 0
	for _, f := range w.facts {
		if n, ok := f.(NeighborSeen); ok && n.Discovered {
			discovered++
		}
	}
	if discovered != 1 || alive() != 1 {
		t.Errorf("discovered %d, alive %d, want 1 and 1", discovered, alive())
	}
	w.pass(time.Minute)
	seen("update", "10.0.0.2", "10.0.0.3")
	if alive() != 2 {
		t.Errorf("alive %d, want the bound of 2", alive())
	}
	w.pass(DefaultOptions().NeighborWindow)
	if alive() != 0 {
		t.Errorf("alive %d after the window, want 0", alive())
	}
}

// TestMemoryIsGivenBack plays many connections, and expects nothing of them to be left.
func TestMemoryIsGivenBack(t *testing.T) {
	w := newWorld(t)
	for i := range 10_000 {
		id := fmt.Sprintf("Proxy-A1-OID-%X", i)
		w.ask(event.Accept, event.PolicyUnknown)
		w.start(id)
		w.stop(id)
		w.info(id, event.Accept)
		w.pass(100 * time.Millisecond)
	}
	w.pass(tombstoneLingers*DefaultOptions().Linger + time.Second)
	p := w.tracker.proxies[source]
	left := map[string]int{
		"connections": p.conns.len(), "clients": len(p.conns.byClient), "tombstones": len(p.finished.byID),
		"decisions": len(p.pending.byClient), "settled": len(p.pending.settled), "deadlines": w.tracker.due.len(),
		"decision queue": p.pending.queue.len(), "burials": p.finished.queue.len(),
	}
	for what, n := range left {
		if n != 0 {
			t.Errorf("%d %s are left", n, what)
		}
	}
}

func TestTooManyConnections(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.MaxConnections = 2 })
	for i := range 3 {
		w.start(fmt.Sprintf("Proxy-A1-OID-%X", i))
	}
	w.wantFinished(ReasonLost)
	if id := w.finished[0].ID; id != "Proxy-A1-OID-0" {
		t.Errorf("%s went, want the oldest", id)
	}
}
