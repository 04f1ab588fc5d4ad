package track

import (
	"testing"
	"time"

	"smithproxy_exporter/exporter/event"
)

// asks sends a start and returns whether the proxy is asked by its answer.
func (w *world) asks(id string) bool {
	return w.tracker.Apply(event.Event{Action: event.ActionStart, Source: source, ID: id, Payload: event.Start{Session: label}}, w.now)
}

func (w *world) wantAsked(id string, want bool) {
	w.t.Helper()
	if got := w.asks(id); got != want {
		w.t.Fatalf("asked after %s: %v, want %v", w.now.Sub(epoch), got, want)
	}
}

func TestProxyIsAskedOnceForAReason(t *testing.T) {
	w := newWorld(t)
	w.ping("Proxy-A1")
	w.wantAsked("Proxy-A1-OID-1", true)
	for range 10 {
		w.pass(10 * time.Minute)
		w.ping("Proxy-A1")
		w.wantAsked("Proxy-A1-OID-2", false)
	}
	w.wantAsked("Proxy-B2-OID-1", true) // it restarted
	w.tracker.Resume(w.now)
	w.wantAsked("Proxy-B2-OID-2", false) // within a minute
	w.pass(time.Minute)
	w.wantAsked("Proxy-B2-OID-3", true)
	w.pass(time.Minute)
	w.wantAsked("Proxy-B2-OID-4", false)
}

func TestOnlyConnectionEventsAsk(t *testing.T) {
	w := newWorld(t)
	for _, ev := range []event.Event{
		{Action: event.ActionPing, Payload: event.Ping{Instance: "Proxy-A1"}},
		{Action: event.ActionNeighbor, Payload: event.Neighbor{Addresses: []string{"10.77.1.2"}}},
		{Action: event.ActionContent, Payload: event.Content{}},
		{Action: event.ActionUnknown},
	} {
		ev.Source = source
		if w.tracker.Apply(ev, w.now) {
			t.Errorf("a %s asks, and the proxy would not know", ev.Action)
		}
	}
}

func (w *world) fullPing(open ...event.OpenSession) {
	m := event.Ping{Instance: "Proxy-A1", Listed: true, Full: true, Sessions: open}
	for _, o := range open {
		m.Open = append(m.Open, o.ID)
	}
	w.send(event.ActionPing, "", m)
}

func TestTakeOver(t *testing.T) {
	w := newWorld(t)
	w.ping("Proxy-A1")
	w.start(idA)
	w.stop(idA)
	w.info(idA, "") // finished, and still in the list, as UDP can be
	w.start("Proxy-A1-OID-2")
	w.fullPing(event.OpenSession{ID: idA, Session: label},
		event.OpenSession{ID: "Proxy-A1-OID-2", Session: label},
		event.OpenSession{ID: "Proxy-A1-OID-3", Session: "udp_10.77.1.9:5000+udp_10.77.2.2:53"},
		event.OpenSession{ID: "Proxy-0-OID-3", Session: label}) // of no run that is known
	if n := count[TakenOver](w.recorder); n != 1 {
		t.Fatalf("took over %d connections, want 1", n)
	}
	if n := w.lastActive(); n != 2 {
		t.Errorf("%d connections are active, want 2", n)
	}
	w.pass(time.Minute)
	w.stop("Proxy-A1-OID-3")
	w.pass(time.Minute)
	w.wantFinished(ReasonStop, ReasonStop)
	c := w.finished[1]
	if start, estimated := c.Start(); !estimated || !start.Equal(epoch) {
		t.Errorf("it began at %v (estimated: %v), want when it was listed, estimated", start, estimated)
	}
	if n := w.lastActive(); n != 1 {
		t.Errorf("%d connections are active at the end, want 1", n)
	}
}

func TestStartOvertakenByItsList(t *testing.T) {
	w := newWorld(t)
	w.ping("Proxy-A1")
	w.fullPing(event.OpenSession{ID: idA, Session: label})
	w.pass(10 * time.Millisecond)
	w.start(idA)
	w.pass(time.Second)
	w.stop(idA)
	w.info(idA, "")
	w.wantFinished(ReasonStop)
	if _, estimated := w.finished[0].Start(); estimated {
		t.Error("its start is estimated, but was received")
	}
	if n := w.lastActive(); n != 0 {
		t.Errorf("%d connections are active, want 0", n)
	}
	if count[Opened](w.recorder) != 1 {
		t.Error("its start was not told")
	}
}

func (w *world) lastActive() int {
	n := -1
	for _, f := range w.facts {
		if f, ok := f.(ConnectionsActive); ok {
			n = f.Count
		}
	}
	return n
}

// TestResumeGivesTimeAgain has the exporter away for an hour.
func TestResumeGivesTimeAgain(t *testing.T) {
	w := newWorld(t)
	w.ping("Proxy-A1")
	w.info(idA, "") // its stop is under way
	w.ask(event.Accept, event.PolicyUnknown)
	w.now = w.now.Add(time.Hour)
	w.tracker.Resume(w.now)
	w.pass(0)
	if len(w.finished) > 0 || count[Unclaimed](w.recorder) > 0 || count[ProxySilent](w.recorder) > 0 {
		t.Fatalf("nothing could be received, but it is taken for gone: %v", w.facts)
	}
	w.pass(time.Second)
	w.stop(idA)
	w.wantFinished()
	w.pass(time.Minute)
	w.wantFinished(ReasonStop)
	w.pass(5 * time.Minute)
	if count[ProxySilent](w.recorder) != 1 {
		t.Error("the proxy did not come back, and is not taken for silent")
	}
}

func TestIntroduce(t *testing.T) {
	w := newWorld(t)
	w.ping("Proxy-A1")
	w.start(idA)
	w.send(event.ActionNeighbor, "", event.Neighbor{Addresses: []string{"10.77.1.2"}, State: event.NeighborNew})
	r := &recorder{}
	tr := restore(t, snapshotOf(w.tracker), r.take)
	tr.Introduce()
	want := []Fact{
		ProxyAppeared{Source: source},
		Restored{Source: source, Instance: "Proxy-A1", PingedAt: epoch},
		ConnectionsActive{Source: source, Count: 1},
		NeighborSeen{Source: source, Address: "10.77.1.2", At: epoch},
		NeighborsAlive{Source: source, Count: 1},
	}
	if len(r.facts) != len(want) {
		t.Fatalf("told %v, want %v", r.facts, want)
	}
	for i := range want {
		if r.facts[i] != want[i] {
			t.Errorf("told %v, want %v", r.facts[i], want[i])
		}
	}
}
