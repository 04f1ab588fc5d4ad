package pipeline_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/pipeline"
	"smithproxy_exporter/exporter/track"
)

// shelf is what keepers have made durable: how often each connection.
type shelf map[string]int

// keeper puts finished connections on a shelf when it commits.
type keeper struct {
	shelf    shelf
	taken    []string
	settled  map[string]bool
	replayed int
}

func newKeeper(s shelf) *keeper { return &keeper{shelf: s, settled: map[string]bool{}} }

func (k *keeper) Take(f track.Fact) {
	if f, ok := f.(track.Finished); ok {
		start, _ := f.C.Start()
		k.taken = append(k.taken, fmt.Sprint(f.C.ID, " ", f.C.Reason, " ", start.UnixNano(), " ", f.C.End().UnixNano()))
	}
}

func (k *keeper) Settled(receipt []byte) { k.settled[string(receipt)] = true; k.replayed++ }

func (k *keeper) Commit() []byte {
	receipt := fmt.Append(nil, k.taken)
	done := k.settled[string(receipt)]
	taken := k.taken
	k.taken = nil
	if len(taken) == 0 || done {
		return nil
	}
	for _, line := range taken {
		k.shelf[line]++
	}
	return receipt
}

// TestCrashAnywhere has the process die after each event, and between them, and expects the next one to
// end with the same connections, each of them once or, where the note of it was lost, as the same twice.
func TestCrashAnywhere(t *testing.T) {
	other := "Proxy-A65E609B-OID-2"
	script := []event.Event{start(id), start(other), stop(id), stop(other)}
	want := map[string]int{}
	for crash := range len(script) + 1 {
		found := shelf{}
		synctest.Test(t, func(t *testing.T) {
			j := &memory{}
			p := newPipeline(j, newKeeper(found))
			ran := running(p)
			for _, ev := range script[:crash] {
				take(t, p, ev)
				time.Sleep(time.Second)
			}
			left := j.crashed()
			p.Stop() // of it nothing reaches what is left
			<-ran
			clear(found)

			s := &facts{}
			p = newPipeline(left, newKeeper(found), s)
			ran = running(p)
			for i, ev := range script[crash:] {
				ask, err := p.Event(ev, time.Now(), body(ev))
				if err != nil || ask != (crash+i == 0) { // it was asked less than a minute ago
					t.Errorf("event %d after the crash: ask %v, %v", i, ask, err)
				}
				time.Sleep(time.Second)
			}
			time.Sleep(2 * track.DefaultOptions().Linger)
			p.Stop()
			<-ran
			if opened := count[track.Opened](s); opened != max(0, 2-crash) {
				t.Errorf("crash after %d: %d are told as opened, want %d: what was replayed was told before", crash, opened, max(0, 2-crash))
			}
		})
		if crash == 0 {
			maps.Copy(want, found)
		}
		if len(want) != 2 || !maps.Equal(found, want) {
			t.Errorf("crash after %d: %v, want %v", crash, found, want)
		}
	}
}

// TestReceiptsKeepFromRepeats crashes after all was committed.
func TestReceiptsKeepFromRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found, j := shelf{}, &memory{}
		p := newPipeline(j, newKeeper(found))
		ran := running(p)
		take(t, p, start(id), stop(id))
		time.Sleep(track.DefaultOptions().Linger + 2*tick)
		synctest.Wait()
		left := j.crashed()
		p.Stop()
		<-ran
		again := newKeeper(found)
		p = newPipeline(left, again)
		ran = running(p)
		p.Stop()
		<-ran
		if len(found) != 1 || slices.Max(slices.Collect(maps.Values(found))) != 1 || again.replayed != 1 {
			t.Errorf("kept %v, with %d receipts; want one connection, once", found, again.replayed)
		}
	})
}

// TestJournalIsFull answers, counts, and writes the whole state down when there is room again.
func TestJournalIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, m := &memory{}, &meter{}
		p := newPipeline(j, nil)
		p.Meter = m
		ran := running(p)
		take(t, p, start("Proxy-A-OID-1"))
		j.set(func() { j.full = true })
		take(t, p, start("Proxy-A-OID-2"), start("Proxy-A-OID-3"))
		if m.unjournaled != 2 {
			t.Errorf("%d events are counted as not written down, want 2", m.unjournaled)
		}
		refused := j.refused
		take(t, p, start("Proxy-A-OID-4"))
		if j.refused != refused {
			t.Error("a journal that is known to fail is tried at each event")
		}
		j.set(func() { j.full = false })
		time.Sleep(6 * time.Second)
		take(t, p, start("Proxy-A-OID-5"))
		synctest.Wait()
		if m.unjournaled != 3 {
			t.Errorf("%d events are counted as not written down, want 3", m.unjournaled)
		}
		left := j.crashed()
		p.Stop()
		<-ran
		wantOpen(t, left, 5)
	})
}

// TestJournalFailsOnce is overcome by writing it anew, before the event is answered.
func TestJournalFailsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, m := &memory{}, &meter{}
		p := newPipeline(j, nil)
		p.Meter = m
		ran := running(p)
		take(t, p, start("Proxy-A-OID-1"))
		j.set(func() { j.broken = true })
		take(t, p, start("Proxy-A-OID-2"))
		left := j.crashed()
		p.Stop()
		<-ran
		if m.unjournaled != 0 {
			t.Errorf("%d events were not written down", m.unjournaled)
		}
		wantOpen(t, left, 2)
	})
}

func wantOpen(t *testing.T, j pipeline.Journal, want int) {
	t.Helper()
	p := newPipeline(j, nil)
	ran := running(p)
	open := 0
	err := p.Query(context.Background(), func(tr *track.Tracker) {
		tr.Connections(func(*track.Connection) bool { open++; return true })
	})
	if err != nil || open != want {
		t.Errorf("%d connections are open after the crash, want %d (%v)", open, want, err)
	}
	p.Stop()
	<-ran
}

func TestJournalIsWrittenAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &memory{}
		p := newPipeline(j, nil)
		p.RewriteBytes = 1000
		ran := running(p)
		for range 100 {
			take(t, p, start(id)) // repeats
		}
		synctest.Wait()
		if j.rewrites < 5 || j.Size() > 4000 {
			t.Errorf("written anew %d times, and has %d bytes", j.rewrites, j.Size())
		}
		take(t, p, stop(id))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		rewrites := j.rewrites
		time.Sleep(time.Hour)
		synctest.Wait()
		if j.rewrites != rewrites {
			t.Errorf("written anew %d times, though nothing came", j.rewrites-rewrites)
		}
		p.Stop()
		<-ran
	})
}

// TestUnusableEntries has the journal of another version.
func TestUnusableEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &memory{entries: [][]byte{{}, {'?'}, {'e', 1}, {'d', 0, 0, 0, 0, 0, 0, 0, 0, '{'}, {'s', '['}, {'r'},
			append(make([]byte, 17), "{}"...), append([]byte{'e'}, append(make([]byte, 16), "{}"...)...)}}
		wantOpen(t, j, 0)
	})
}

// slow is a journal whose replay takes until it is let go.
type slow struct {
	memory
	release chan struct{}
}

func (s *slow) Replay(func([]byte) error) error { <-s.release; return nil }

func TestReadyAfterReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &slow{release: make(chan struct{})}
		p := newPipeline(j, nil)
		ready, answered, ran := make(chan struct{}), make(chan struct{}), make(chan struct{})
		go func() { defer close(ran); p.Run(func() { close(ready) }) }()
		go func() { defer close(answered); take(t, p, start(id)) }()
		if err := p.Decision(track.Decision{Source: source, Label: label, Received: time.Now()}); err != nil {
			t.Error(err) // does not wait
		}
		synctest.Wait()
		select {
		case <-ready:
			t.Error("ready while it replays")
		case <-answered:
			t.Error("an event was answered before it was written down")
		default:
		}
		close(j.release)
		<-ready
		<-answered
		p.Stop()
		<-ran
	})
}

// TestSuspended has the whole process stopped for an hour.
func TestSuspended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, s := &memory{}, &facts{}
		now := time.Now
		var asleep atomic.Int64 // ns
		p := newPipeline(j, nil, s)
		p.Now = func() time.Time { return now().Add(time.Duration(asleep.Load())) }
		ran := running(p)
		if ask, err := p.Event(start(id), now(), body(start(id))); !ask || err != nil {
			t.Errorf("ask %v, %v at the first event", ask, err)
		}
		if _, err := p.Event(stop(id), now(), body(stop(id))); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		asleep.Store(int64(time.Hour))
		time.Sleep(2 * tick)
		synctest.Wait()
		if count[track.Finished](s) > 0 {
			t.Error("finished, though its info could not have been received")
		}
		at := p.Now()
		if ask, err := p.Event(start(id+"1"), at, body(start(id+"1"))); !ask || err != nil {
			t.Errorf("ask %v, %v after the gap", ask, err)
		}
		p.Stop()
		<-ran
	})
}
