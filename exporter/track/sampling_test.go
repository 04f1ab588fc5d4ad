package track

import (
	"testing"
	"time"
)

// sample has the tracker keep traces by keep.
func (w *world) sample(keep func(*Connection) bool) {
	w.tracker.Sampled = func(c *Connection, _ time.Time) bool { return keep(c) }
}

func isStopped(c *Connection) bool { return c.Stopped() }

// TestAgesAreHeld has a connection whose trace is kept only because of its end, with restarts meanwhile.
func TestAgesAreHeld(t *testing.T) {
	for name, restart := range map[string]bool{"one run": false, "restarts": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.sample(isStopped)
			pass := func(d time.Duration) {
				w.pass(d)
				if restart {
					w.restart()
					w.sample(isStopped)
				}
			}
			w.start(idA)
			pass(6 * time.Minute)
			pass(5 * time.Minute)
			if n := count[StillOpen](w.recorder); n != 0 {
				t.Fatalf("%d ages were reported before the trace was kept", n)
			}
			w.stop(idA)
			pass(time.Minute)
			var ages []time.Duration
			finished := false
			for _, f := range w.facts {
				switch f := f.(type) {
				case StillOpen:
					if finished || f.C.Stopped() || f.C.State != StateOpen {
						t.Errorf("the record is %+v, and finished is %t", f.C, finished)
					}
					ages = append(ages, f.At.Sub(epoch))
				case Finished:
					finished = true
					if f.C.Unsampled {
						t.Error("its trace counts as left out")
					}
				}
			}
			if len(ages) != 2 || ages[0] != 5*time.Minute || ages[1] != 10*time.Minute || !finished {
				t.Errorf("ages are %v, finished is %t", ages, finished)
			}
		})
	}
}

// TestLateEventsShareTheFate of their connection, after a restart, too.
func TestLateEventsShareTheFate(t *testing.T) {
	for name, kept := range map[string]bool{"kept": true, "left out": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.sample(func(*Connection) bool { return kept })
			w.start(idA)
			w.stop(idA)
			w.pass(time.Minute)
			w.restart()
			w.sample(func(*Connection) bool { return !kept })
			w.info(idA, "")
			found := false
			for _, f := range w.facts {
				switch f := f.(type) {
				case Finished:
					if f.C.Unsampled == kept {
						t.Errorf("the trace is left out: %t", f.C.Unsampled)
					}
				case Late:
					found = true
					if f.C.Unsampled == kept {
						t.Errorf("the late event is left out: %t", f.C.Unsampled)
					}
				}
			}
			if !found {
				t.Error("the event was not late")
			}
		})
	}
}

// TestConnectionsOfProxyThatIsDown are unknown until its next list, in copies, too.
func TestConnectionsOfProxyThatIsDown(t *testing.T) {
	w := newWorld(t)
	is := func(unknown bool) {
		t.Helper()
		c, ok := w.tracker.Connection(source, idA)
		if !ok {
			t.Fatal("there is no connection")
		}
		if copied := c.Copy(); c.IsUnknown() != unknown || copied.IsUnknown() != unknown {
			t.Errorf("it is unknown: %t, and in a copy %t; want %t", c.IsUnknown(), copied.IsUnknown(), unknown)
		}
	}
	w.ping("Proxy-A1")
	w.start(idA)
	is(false)
	w.pass(w.config.Proxies.PingTimeout + time.Second)
	is(true)
	w.restart()
	is(true)
	w.ping("Proxy-A1", idA)
	is(false)
}

func TestForget(t *testing.T) {
	w := newWorld(t)
	forgotten := func(wantDone bool, wantErr error) {
		t.Helper()
		if done, err := w.tracker.Forgotten(source); done != wantDone || err != wantErr {
			t.Errorf("Forgotten() = %t, %v; want %t, %v", done, err, wantDone, wantErr)
		}
	}
	if err := w.tracker.Forget(source); err != ErrUnknownProxy {
		t.Errorf("Forget() = %v, want %v", err, ErrUnknownProxy)
	}
	w.ping("Proxy-A1")
	w.start(idA)
	if err := w.tracker.Forget(source); err != nil {
		t.Fatal(err)
	}
	forgotten(false, nil)
	w.startAs(idA+"1", "tcp_10.77.1.9:1+tcp_10.77.2.2:8080")
	forgotten(true, ErrProxySpoke)
	w.advance()
	if n := count[ProxyForgotten](w.recorder); n != 0 {
		t.Error("a proxy that sends events is forgotten")
	}
	if err := w.tracker.Forget(source); err != nil {
		t.Fatal(err)
	}
	w.advance()
	forgotten(true, nil)
	if n := countIf(w.recorder, func(f ProxyForgotten) bool { return f.Asked }); n != 1 {
		t.Errorf("it is forgotten %d times", n)
	}
	w.restart()
	if proxies, _ := w.tracker.Size(); proxies != 0 {
		t.Error("a restart brings it back")
	}
}
