package track

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"smithproxy_exporter/exporter/event"
)

func (w *world) from(source string, action event.Action, payload any) {
	w.apply(event.Event{Action: action, Source: source, Payload: payload})
}

func (w *world) pingFrom(source string) { w.from(source, event.ActionPing, event.Ping{}) }

func (w *world) tracked() []string {
	var sources []string
	for _, p := range w.tracker.order {
		sources = append(sources, p.source)
	}
	return sources
}

func (w *world) expectTracked(want ...string) {
	w.t.Helper()
	if got := w.tracked(); !slices.Equal(got, want) {
		w.t.Errorf("tracked are %v, want %v", got, want)
	}
}

func untracked(f Received) bool { return f.Outcome == Untracked }

func room(n int) func(*Config) { return func(c *Config) { c.Proxies.Max = n } }

// TestInventedSourcesPushNobodyOut has a secret known to somebody who makes up sources without end.
func TestInventedSourcesPushNobodyOut(t *testing.T) {
	w := newWorld(t, room(3))
	w.pingFrom("real-1")
	w.pass(time.Hour)
	for range 60 {
		w.pingFrom("real-1")
		w.pingFrom("real-2")
		for i := range 50 {
			w.from(fmt.Sprint("invented-", i), event.ActionUnknown, nil)
			w.pingFrom(fmt.Sprint("pinging-", i))
		}
		w.pass(time.Minute)
	}
	if got := w.tracked(); len(got) != 3 || got[0] != "real-1" || got[1] != "real-2" {
		t.Errorf("tracked are %v", got)
	}
	t.Logf("%d events refused, %d sources appeared", countIf(w.recorder, untracked), count[ProxyAppeared](w.recorder))
}

// TestSilentProxyIsNotForgottenForOthers has a proxy go down while sources are made up: the alert about it
// must stay.
func TestSilentProxyIsNotForgottenForOthers(t *testing.T) {
	w := newWorld(t, room(1))
	for range 60 {
		w.pingFrom("real")
		w.pass(time.Minute)
	}
	for range 57 {
		w.pingFrom("invented")
		w.pass(time.Minute)
	}
	w.expectTracked("real")
	// It has been silent for longer than it pinged.
	w.pass(2 * time.Minute)
	w.pingFrom("invented")
	w.expectTracked("invented")
}

// TestRealProxyFindsRoom has a table full of what was made up.
func TestRealProxyFindsRoom(t *testing.T) {
	w := newWorld(t, room(2))
	w.from("invented-1", event.ActionUnknown, nil)
	w.pingFrom("invented-2")
	w.from("real", event.ActionUnknown, nil)
	w.expectTracked("invented-1", "invented-2")
	w.pingFrom("real")
	w.expectTracked("invented-2", "real")
	w.pingFrom("another")
	w.expectTracked("invented-2", "real")
	w.pass(5 * time.Minute)
	w.pingFrom("real")
	w.pingFrom("another")
	w.expectTracked("real", "another")
}

// TestNewcomerGivesWay has one that came in last be the first that has to go.
func TestNewcomerGivesWay(t *testing.T) {
	w := newWorld(t, room(2))
	for range 60 {
		w.pingFrom("real")
		w.pass(time.Minute)
	}
	w.from("invented", event.ActionUnknown, nil)
	w.pass(time.Minute)
	w.pingFrom("real")
	w.from("refused", event.ActionUnknown, nil)
	w.expectTracked("real", "invented")
	w.pass(5 * time.Minute)
	w.from("late", event.ActionUnknown, nil)
	w.expectTracked("real", "late")
	w.pass(5 * time.Minute)
	w.from("later", event.ActionUnknown, nil)
	w.expectTracked("real", "later")
}

// TestUntrackedDecision has an access-request of a source there is no room for.
func TestUntrackedDecision(t *testing.T) {
	w := newWorld(t, room(1))
	w.pingFrom("real")
	w.decide(Decision{Source: "invented"})
	w.pass(time.Hour)
	if n := countIf(w.recorder, untracked); n != 1 {
		t.Errorf("%d facts about what is not tracked, want 1", n)
	}
	if n := count[Decided](w.recorder); n != 0 {
		t.Errorf("%d decisions, want 0", n)
	}
}

// TestGivingWayEndsConnections: what a proxy that gives way left open is lost, and comes to an end.
func TestGivingWayEndsConnections(t *testing.T) {
	w := newWorld(t, room(1))
	w.start(idA)
	w.pingFrom("another")
	if n := count[Finished](w.recorder); n != 1 {
		t.Errorf("%d connections finished, want 1", n)
	}
	if n := count[ProxyForgotten](w.recorder); n != 1 {
		t.Errorf("%d proxies forgotten, want 1", n)
	}
}

// TestTotals has one proxy flood, and another one not lose anything by it.
func TestTotals(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.Connections.MaxOpenTotal, c.Proxies.MaxNeighborsTotal = 100, 100
	})
	for i := range 500 {
		name := fmt.Sprint(i)
		flood := event.Event{Source: "flood", ID: "Proxy-F1-OID-" + name}
		flood.Action, flood.Payload = event.ActionStart, event.Start{Session: label}
		w.apply(flood)
		w.from("flood", event.ActionNeighbor, event.Neighbor{State: event.NeighborNew, Addresses: []string{name}})
		if i < 20 {
			w.start("Proxy-A1-OID-" + name)
			w.from(source, event.ActionNeighbor, event.Neighbor{State: event.NeighborNew, Addresses: []string{name}})
		}
	}
	w.pass(time.Second)
	quiet, flooding := w.tracker.proxies[source], w.tracker.proxies["flood"]
	if n, m := quiet.conns.len(), flooding.conns.len(); n != 20 || m != 80 {
		t.Errorf("%d and %d connections are left, want 20 and 80", n, m)
	}
	if n, m := quiet.neighbors.byAge.Len(), flooding.neighbors.byAge.Len(); n != 20 || m != 80 {
		t.Errorf("%d and %d addresses are left, want 20 and 80", n, m)
	}
	if _, ok := flooding.conns.latest["Proxy-F1-OID-499"]; !ok {
		t.Error("the newest connection is gone")
	}
}

// TestRestoredProxyKeepsItsPlace: how long a proxy pinged is remembered over a restart of the exporter.
func TestRestoredProxyKeepsItsPlace(t *testing.T) {
	w := newWorld(t, room(1))
	for range 60 {
		w.pingFrom("real")
		w.pass(time.Minute)
	}
	w.restart()
	w.pass(30 * time.Minute)
	w.pingFrom("invented")
	w.expectTracked("real")
	w.pass(time.Hour)
	w.pingFrom("invented")
	w.expectTracked("invented")
	if n := w.tracker.neverPinged; n != 0 {
		t.Errorf("%d proxies that never pinged, want 0", n)
	}
}
