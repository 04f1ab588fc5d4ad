package track

import (
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"smithproxy_exporter/exporter/event"
)

// TestNothingTakesLong does the largest tasks that there are, and measures the longest single call: all events
// wait for one. It goes by the CPU time of its thread, which does not depend on what else runs.
func TestNothingTakesLong(t *testing.T) {
	const many = 100_000
	w := newWorld(t, func(c *Config) {
		c.Connections.MaxOpen, c.Connections.MaxOpenTotal, c.Proxies.MaxNeighbors, c.Proxies.MaxNeighborsTotal = many, 2*many, many, 2*many
	})
	w.tracker.emit = func(Fact) {}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	longest, what := time.Duration(0), ""
	measure := func(name string, call func()) {
		began := threadTime(t)
		call()
		if took := threadTime(t) - began; took > longest {
			longest, what = took, name
		}
	}
	apply := func(name string, ev event.Event) {
		measure(name, func() { w.tracker.Apply(ev, at(w.now), nil) })
		measure("changes of "+name, func() { w.tracker.Changes(discard{}) })
	}
	settle := func(name string) (calls int) {
		for more := true; more; calls++ {
			measure(name, func() { more = w.tracker.Advance(at(w.now)) })
			measure("changes of "+name, func() { w.tracker.Flush(); w.tracker.Changes(discard{}) })
		}
		return calls
	}
	ids := make([]string, many)
	for i := range ids {
		ids[i] = fmt.Sprintf("Proxy-A1-SID-%X", i+1)
		apply("start", event.Event{Action: event.ActionStart, Source: source, ID: ids[i], Payload: event.Start{
			Session: fmt.Sprintf("tcp_10.%d.%d.%d:%d+tcp_192.0.2.1:80", i>>16, i>>8&255, i&255, i%60000+1000)}})
	}
	var addresses []string
	for i := range many {
		addresses = append(addresses, fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
	}
	for some := range slices.Chunk(addresses, 1000) {
		apply("neighbors", event.Event{Action: event.ActionNeighbor, Source: source, Payload: event.Neighbor{Addresses: some}})
	}
	ping := func(open []string) {
		apply("ping", event.Event{Action: event.ActionPing, Source: source, Payload: event.Ping{Instance: "Proxy-A1", Listed: true, Open: open}})
		settle("list")
	}
	ping(ids)
	for range 2 {
		w.now += time.Minute
		ping(ids[:many/2])
	}
	if n := w.tracker.proxies[source].open; n != many/2 {
		t.Errorf("%d are open after two lists of half of them", n)
	}
	w.now += 20 * time.Minute
	settle("expiry of neighbors and of the grace period")
	if n := w.tracker.proxies[source].neighbors.byAge.Len(); n != 0 {
		t.Errorf("%d neighbors are left", n)
	}
	apply("new boot", event.Event{Action: event.ActionPing, Source: source, Payload: event.Ping{Instance: "Proxy-B2"}})
	settle("restart")
	if n := w.tracker.proxies[source].open; n != 0 {
		t.Errorf("%d are open after a restart", n)
	}
	w.now += time.Minute
	settle("grace period of a restart")
	for i := range many {
		apply("start", event.Event{Action: event.ActionStart, Source: source, ID: "Proxy-B2" + ids[i][8:], Payload: event.Start{}})
	}
	var rewrite Rewrite
	for more := true; more; {
		measure("rewrite", func() { more = w.tracker.Rewrite(&rewrite, discard{}) })
	}
	w.now += w.config.Proxies.ForgetAfter + time.Hour
	calls := settle("idle, down and forgotten")
	if proxies, connections := w.tracker.Size(); proxies != 0 || connections != 0 {
		t.Errorf("%d proxies and %d connections are left", proxies, connections)
	}
	t.Logf("longest call: %v, of %s; %d calls to forget a proxy", longest, what, calls)
	// A step takes well below a millisecond; the rest is what the garbage collector does on this thread.
	if longest > 50*time.Millisecond {
		t.Errorf("one call took %v: %s", longest, what)
	}
}

// threadTime is the CPU time of the thread that calls it.
func threadTime(t *testing.T) time.Duration {
	const ofThread = 1 // RUSAGE_THREAD of Linux
	var used syscall.Rusage
	if err := syscall.Getrusage(ofThread, &used); err != nil {
		t.Skipf("CPU time of a thread: %v", err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

type discard struct{}

func (discard) Put(Kind, string, string, []byte)                   {}
func (discard) Remove(Kind, string, string)                        {}
func (discard) RemoveSource(string)                                {}
func (discard) PutTombstone(string, string, []byte, time.Duration) {}
