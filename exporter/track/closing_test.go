package track

import (
	"testing"
	"time"

	"smithproxy_exporter/exporter/event"
)

func TestHowConnectionsEnd(t *testing.T) {
	grace := DefaultConfig().Connections.GracePeriod
	tests := map[string]struct {
		play   func(w *world)
		reason Reason
		end    time.Duration // after epoch
	}{
		"stop, and no info comes": {func(w *world) {
			w.start(idA)
			w.pass(time.Second)
			w.stop(idA)
			w.pass(grace - 1)
			w.wantFinished()
			w.pass(1)
		}, ReasonStop, time.Second},
		"all three at once": {func(w *world) {
			w.start(idA)
			w.stop(idA)
			w.info(idA, "")
		}, ReasonStop, 0},
		"info 30 s after the stop": {func(w *world) {
			w.start(idA)
			w.stop(idA)
			w.pass(30 * time.Second)
			w.wantFinished()
			w.info(idA, "")
		}, ReasonStop, 0},
		"start 20 s after the stop": {func(w *world) {
			w.stop(idA)
			w.info(idA, "")
			w.pass(20 * time.Second)
			w.wantFinished()
			w.start(idA)
		}, ReasonStop, 0},
		"info without a stop": {func(w *world) {
			w.start(idA)
			w.pass(time.Second)
			w.info(idA, "")
			w.pass(grace)
		}, ReasonLost, 0},
		"reject in transparent mode": {func(w *world) {
			w.ask(event.Reject, event.PolicyUnknown)
			w.pass(10 * time.Second)
			w.info(idA, event.Reject)
		}, ReasonRejected, time.Millisecond},
		"reject over SOCKS": {func(w *world) {
			w.startAs(idA, "tcp_10.77.1.2:40762+0:0")
			w.ask(event.Reject, 2)
			w.ask(event.Reject, 2)
			w.pass(10 * time.Second)
			w.info(idA, event.Reject)
		}, ReasonRejected, time.Millisecond},
		"reject that another receiver answered": {func(w *world) {
			w.info(idA, event.Reject)
			w.pass(grace)
		}, ReasonRejected, 0},
		"restart": {func(w *world) {
			w.start(idA)
			w.pass(time.Second)
			w.start(idB)
			w.pass(grace)
		}, ReasonRestart, 0},
		"restart, and its own stop still comes": {func(w *world) {
			w.start(idA)
			w.start(idB)
			w.pass(time.Second)
			w.stop(idA)
			w.pass(grace)
		}, ReasonStop, time.Second},
		"restart, and its own info still comes": {func(w *world) {
			w.start(idA)
			w.start(idB)
			w.pass(10 * time.Second)
			w.info(idA, "")
			w.pass(grace)
		}, ReasonRestart, 0},
		"missing from two lists, after it was in one": {func(w *world) {
			w.start(idA)
			w.pass(time.Minute)
			w.ping("Proxy-A1", idA)
			w.pass(time.Minute)
			w.ping("Proxy-A1")
			w.pass(time.Minute)
			w.ping("Proxy-A1")
			w.pass(1)
		}, ReasonLost, time.Minute},
		"missing from two lists, and its stop was only slow": {func(w *world) {
			w.start(idA)
			w.ping("Proxy-A1", idA)
			w.pass(time.Minute)
			w.ping("Proxy-A1")
			w.pass(2 * time.Second)
			w.ping("Proxy-A1")
			w.pass(18 * time.Second)
			w.stop(idA)
			w.pass(grace)
		}, ReasonStop, 80 * time.Second},
		"never in a list, and idle": {func(w *world) {
			w.startAs(idA, "mf_10.77.1.2:40762+mf_10.77.2.2:443")
			for range 59 {
				w.pass(2 * time.Minute)
				w.ping("Proxy-A1")
			}
			w.wantFinished()
			w.pass(2 * time.Minute)
		}, ReasonLost, 0},
		"a start of another client on its id": {func(w *world) {
			w.start(idA)
			w.pass(time.Second)
			w.startAs(idA, "tcp_10.77.1.3:5000+tcp_10.77.2.2:8080")
			w.pass(grace)
		}, ReasonLost, 0},
		"its proxy is down": {func(w *world) {
			w.ping("Proxy-A1")
			w.start(idA)
			w.pass(time.Minute)
			w.ping("Proxy-A1", idA)
			w.pass(w.config.Proxies.PingTimeout + 1)
			w.pass(w.config.Proxies.DownTimeout)
		}, ReasonLost, time.Minute},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.play(w)
			w.wantFinished(tt.reason)
			end, estimated := w.finished[0].End()
			if got := end.Sub(epoch); got != tt.end {
				t.Errorf("end after %v, want %v", got, tt.end)
			}
			if known := tt.reason == ReasonStop || tt.reason == ReasonRejected && w.finished[0].Decision != nil; estimated == known {
				t.Errorf("end is estimated: %v, for %s", estimated, tt.reason)
			}
			if n := count[Ended](w.recorder); n != 1 {
				t.Errorf("ended %d times", n)
			}
		})
	}
}

func TestLivingConnectionsAreNotClosed(t *testing.T) {
	tests := map[string]func(w *world){
		"in every list": func(w *world) {
			w.start(idA)
			for range 60 {
				w.pass(2 * time.Minute)
				w.ping("Proxy-A1", idA)
			}
		},
		"no lists at all": func(w *world) {
			w.start(idA)
			for range 59 {
				w.pass(2 * time.Minute)
				w.send(event.ActionPing, "", event.Ping{})
			}
		},
		"in no list, ever": func(w *world) {
			w.startAs(idA, "tcp_10.77.1.2:40762+0:0")
			for range 59 {
				w.pass(2 * time.Minute)
				w.ping("Proxy-A1")
			}
		},
		"started just before the ping": func(w *world) {
			w.start(idA)
			w.pass(3 * time.Second)
			w.ping("Proxy-A1")
			w.pass(3 * time.Second)
			w.ping("Proxy-A1")
		},
		"missing from one list": func(w *world) {
			w.start(idA)
			for range 5 {
				w.pass(2 * time.Minute)
				w.ping("Proxy-A1", idA)
				w.pass(2 * time.Minute)
				w.ping("Proxy-A1")
			}
		},
		"one list delivered five times at once": func(w *world) {
			w.start(idA)
			w.ping("Proxy-A1", idA)
			w.pass(time.Minute)
			for range 5 {
				w.pass(time.Millisecond)
				w.ping("Proxy-A1")
			}
		},
		"in SOCKS negotiation": func(w *world) {
			w.startAs(idA, "tcp_10.77.1.2:33604+0:0")
			for range 15 {
				w.pass(3 * time.Second)
				w.ping("Proxy-A1")
			}
		},
		"the list of an instance that is gone": func(w *world) {
			w.start(idB)
			w.ping("Proxy-B2", idA)
			w.start(idA)
			w.ping("Proxy-A1", idA)
			w.start(idB) // repeated; B2 is retired now
			for range 5 {
				w.pass(time.Minute)
				w.ping("Proxy-B2")
			}
		},
	}
	for name, play := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			play(w)
			if c, ok := w.tracker.Connection(source, idA); !ok || c.State != StateOpen {
				t.Error("connection is not open any more")
			}
		})
	}
}
