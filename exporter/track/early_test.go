package track

import (
	"fmt"
	"testing"
	"time"
)

// TestListBeforeTheStart: a list overtakes the start of a connection that no later list has. It is lost, as if the start
// had been received first.
func TestListBeforeTheStart(t *testing.T) {
	for _, tt := range []struct {
		name string
		play func(w *world)
		want []Reason
	}{
		{"the start first", func(w *world) { w.start(idA); w.ping("Proxy-A1", idA) }, []Reason{ReasonLost}},
		{"the list first", func(w *world) { w.ping("Proxy-A1", idA); w.start(idA) }, []Reason{ReasonLost}},
		{"two lists first", func(w *world) {
			w.ping("Proxy-A1", idA)
			w.pass(10 * time.Second)
			w.ping("Proxy-A1")
			w.start(idA)
		}, []Reason{ReasonLost}},
		{"never listed", func(w *world) { w.start(idA) }, nil},
		{"long after the list", func(w *world) {
			w.ping("Proxy-A1", idA)
			w.pass(w.config.Connections.GracePeriod + time.Second)
			w.start(idA)
		}, nil},
		{"stop too", func(w *world) { w.ping("Proxy-A1", idA); w.start(idA); w.stop(idA) }, []Reason{ReasonStop}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.ping("Proxy-A1")
			tt.play(w)
			for range 3 {
				w.pass(2 * time.Minute)
				w.ping("Proxy-A1")
			}
			w.pass(time.Minute)
			w.wantFinished(tt.want...)
		})
	}
}

// A list between a connection and the next one of its reused id says nothing of the next one.
func TestListOfAFinishedConnection(t *testing.T) {
	w := newWorld(t)
	w.start(idA)
	w.stop(idA)
	w.info(idA, "")
	w.ping("Proxy-A1", idA) // it still has the id, as it may for UDP
	w.startAs(idA, "tcp_10.77.1.9:5000+tcp_10.77.2.2:8080")
	for range 3 {
		w.pass(2 * time.Minute)
		w.ping("Proxy-A1")
	}
	w.pass(time.Minute)
	w.wantFinished(ReasonStop)
}

func TestEarlyIDsAreBounded(t *testing.T) {
	w := newWorld(t)
	var ids []string
	for i := range 2 * maxEarly {
		ids = append(ids, fmt.Sprintf("Proxy-A1-SID-%X", i))
	}
	w.ping("Proxy-A1", ids...)
	p := w.tracker.proxies[source]
	if n := len(p.lists.early); n != maxEarly {
		t.Errorf("%d ids are kept, want %d", n, maxEarly)
	}
	w.pass(w.config.Connections.GracePeriod + time.Second)
	w.ping("Proxy-A1", "Proxy-A1-SID-FFFF")
	if n := len(p.lists.early); n != 1 {
		t.Errorf("%d ids are kept after their time, want 1", n)
	}
}
