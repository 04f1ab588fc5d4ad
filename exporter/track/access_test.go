package track

import (
	"testing"
	"time"

	"smithproxy_exporter/exporter/event"
)

func TestDecisions(t *testing.T) {
	t.Run("over SOCKS two requests are one decision", func(t *testing.T) {
		w := newWorld(t)
		w.startAs(idA, "tcp_10.77.1.2:40762+0:0")
		w.ask(event.Accept, 2)
		w.ask(event.Accept, 2)
		w.stop(idA)
		w.info(idA, event.Accept)
		w.wantFinished(ReasonStop)
		if d := w.finished[0].Decision; d == nil || d.Requests != 2 {
			t.Errorf("decision %+v, want one with two requests", d)
		}
		if n := decisions(w.recorder); n != 1 {
			t.Errorf("%d decisions", n)
		}
	})
	t.Run("a port that is used again asks for itself", func(t *testing.T) {
		w := newWorld(t)
		for _, id := range []string{idA, "Proxy-A1-OID-2"} {
			w.ask(event.Accept, event.PolicyUnknown)
			w.start(id)
			w.stop(id)
			w.pass(10 * time.Second)
		}
		if n := decisions(w.recorder); n != 2 {
			t.Errorf("%d decisions, want 2", n)
		}
	})
	t.Run("one that no connection claims", func(t *testing.T) {
		w := newWorld(t)
		w.ask(event.Reject, event.PolicyUnknown)
		w.pass(DefaultOptions().Linger)
		if n := count[Unclaimed](w.recorder); n != 1 {
			t.Errorf("%d unclaimed, want 1", n)
		}
		w.pass(DefaultOptions().Linger)
		if n := count[Unclaimed](w.recorder); n != 1 {
			t.Errorf("%d unclaimed after another linger, want 1", n)
		}
	})
}
