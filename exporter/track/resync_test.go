package track

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"smithproxy_exporter/exporter/event"
)

// asks sends a start and returns whether the proxy is asked by its answer.
func (w *world) asks(id string) bool {
	return w.apply(event.Event{Action: event.ActionStart, Source: source, ID: id, Payload: event.Start{Session: label}})
}

func (w *world) wantAsked(id string, want bool) {
	w.t.Helper()
	if got := w.asks(id); got != want {
		w.t.Fatalf("asked after %s: %v, want %v", w.now, got, want)
	}
}

func TestProxyIsAskedOnceForAReason(t *testing.T) {
	w := newWorld(t)
	w.ping("Proxy-A1")
	w.wantAsked("Proxy-A1-OID-1", true)
	w.fullPing()
	for range 10 {
		w.pass(10 * time.Minute)
		w.ping("Proxy-A1")
		w.wantAsked("Proxy-A1-OID-2", false)
	}
	w.wantAsked("Proxy-B2-OID-1", true) // it restarted
	w.send(event.ActionPing, "", event.Ping{Instance: "Proxy-B2", Listed: true, Full: true})
	w.tracker.Resume(at(w.now))
	w.wantAsked("Proxy-B2-OID-2", false) // within a minute
	w.pass(time.Minute)
	w.wantAsked("Proxy-B2-OID-3", true)
}

// TestProxyIsAskedAgain: a proxy takes no notice of a second 202 within a second of the first.
func TestProxyIsAskedAgain(t *testing.T) {
	w := newWorld(t)
	w.wantAsked("Proxy-A1-OID-1", true)
	w.pass(resyncRetry - 1)
	w.wantAsked("Proxy-A1-OID-2", false)
	w.pass(1)
	w.wantAsked("Proxy-A1-OID-3", true)
	w.ping("Proxy-A1") // not what was asked for
	w.pass(resyncRetry)
	w.wantAsked("Proxy-A1-OID-4", true)
	w.fullPing()
	w.pass(resyncRetry)
	w.wantAsked("Proxy-A1-OID-5", false)
}

func TestProxyThatNeverAnswersIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	asked := 0
	for i := range 100 {
		if w.asks(fmt.Sprintf("Proxy-A1-OID-%X", i)) {
			asked++
		}
		w.pass(resyncRetry)
	}
	if asked != resyncTries {
		t.Errorf("asked %d times, want %d", asked, resyncTries)
	}
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
		if w.apply(ev) {
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

func TestAdopt(t *testing.T) {
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
	if n := count[Adopted](w.recorder); n != 1 {
		t.Fatalf("adopted %d connections, want 1", n)
	}
	if n := w.status().Open; n != 2 {
		t.Errorf("%d connections are active, want 2", n)
	}
	w.pass(time.Minute)
	w.stopAs("Proxy-A1-OID-3", "udp_10.77.1.9:5000+udp_10.77.2.2:53")
	w.pass(time.Minute)
	w.wantFinished(ReasonStop, ReasonStop)
	c := w.finished[1]
	if start, estimated := c.Start(); !estimated || !start.Equal(epoch) {
		t.Errorf("it began at %v (estimated: %v), want when it was listed, estimated", start, estimated)
	}
	if n := w.status().Open; n != 1 {
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
	if n := w.status().Open; n != 0 {
		t.Errorf("%d connections are active, want 0", n)
	}
	if count[Started](w.recorder) != 1 {
		t.Error("its start was not told")
	}
}

// TestResumeGivesTimeAgain stops and starts the exporter: the running time stands still meanwhile.
func TestResumeGivesTimeAgain(t *testing.T) {
	w := newWorld(t)
	w.ping("Proxy-A1")
	w.info(idA, "") // its stop is under way
	w.ask(event.Accept, event.PolicyUnknown)
	w.pass(w.config.Connections.GracePeriod - time.Second)
	w.restart()
	w.tracker.Resume(at(w.now))
	w.pass(w.config.Connections.GracePeriod - time.Second)
	if len(w.finished) > 0 || count[Unclaimed](w.recorder) > 0 {
		t.Fatalf("they had no time again: %v", w.facts)
	}
	w.stop(idA)
	w.wantFinished()
	w.pass(time.Minute)
	w.wantFinished(ReasonStop)
	if w.finished[0].Decision == nil {
		t.Error("its decision was given up")
	}
}

func TestPublish(t *testing.T) {
	w := newWorld(t)
	w.ping("Proxy-A1")
	w.start(idA)
	w.send(event.ActionNeighbor, "", event.Neighbor{Addresses: []string{"10.77.1.2"}, State: event.NeighborNew})
	r := &recorder{}
	w.store.restore(t, w.config, r.take).Publish()
	want := []Fact{
		ProxyAppeared{Source: source},
		NeighborSeen{Source: source, Address: "10.77.1.2", At: epoch, Restored: true},
		ProxyStatus{Source: source, Instance: "Proxy-A1", Up: true, PingedAt: epoch, Open: 1, Neighbors: 1},
	}
	if diff := cmp.Diff(want, r.facts); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
}
