package track

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"smithproxy_exporter/exporter/event"
)

func TestTimeline(t *testing.T) {
	w := newWorld(t)
	w.ask(event.Accept, event.PolicyUnknown)
	w.start(idA)
	w.pass(2 * time.Second)
	w.start(idA)
	w.start(idA)
	w.pass(3 * time.Second)
	w.stop(idA)
	w.stop(idA)
	for _, restarted := range []bool{false, true} {
		if restarted {
			w.restart()
		}
		c, ok := w.tracker.Connection(source, idA)
		if !ok {
			t.Fatal("the connection is gone")
		}
		got := c.Timeline()
		want := Timeline{
			First: epoch, Requested: epoch, Answered: got.Answered, Requests: 1, Started: epoch, Stopped: epoch.Add(5 * time.Second),
			StartRepeats: 2, StopRepeats: 1, RepeatedAt: epoch.Add(5 * time.Second),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("after a restart: %v, -want +got:\n%s", restarted, diff)
		}
	}
}

func TestRepeatsAreCountedUpToALimit(t *testing.T) {
	w := newWorld(t)
	for range 300 {
		w.start(idA)
	}
	c, _ := w.tracker.Connection(source, idA)
	if got := c.Timeline().StartRepeats; got != 255 {
		t.Errorf("%d repeats, want 255", got)
	}
}
