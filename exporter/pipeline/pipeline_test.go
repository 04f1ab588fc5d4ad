package pipeline_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/pipeline"
	"smithproxy_exporter/exporter/track"
)

const (
	source = "oneofmany1"
	id     = "Proxy-A65E609B-OID-FEE9B1098109"
	label  = "tcp_10.77.1.2:40762+tcp_10.77.2.2:8080"
	tick   = 250 * time.Millisecond
)

func start(id string) event.Event {
	return event.Event{Action: event.ActionStart, Source: source, ID: id, Payload: event.Start{Session: label}}
}

func stop(id string) event.Event {
	return event.Event{
		Action: event.ActionStop, Source: source, ID: id, Payload: event.Stop{Session: label, BytesUp: 1, BytesDown: 2},
	}
}

// facts is a sink that keeps what it takes. Without a lock: the race detector shall see it when two
// goroutines use a sink.
type facts struct {
	all []track.Fact
	// Take waits for hold, unless it is nil. A bubble only knows the channels that were made in it.
	hold chan struct{}
}

func (s *facts) Take(f track.Fact) {
	if s.hold != nil {
		<-s.hold
	}
	s.all = append(s.all, f)
}

func count[F track.Fact](s *facts) int {
	n := 0
	for _, f := range s.all {
		if _, ok := f.(F); ok {
			n++
		}
	}
	return n
}

// run runs a pipeline in a bubble on a store of its own, and fails the test if it does not end, or leaves a
// goroutine behind: a bubble ends with an error then.
func run(t *testing.T, sink track.Sink, test func(t *testing.T, p *pipeline.Pipeline)) {
	runIn(t, t.TempDir(), sink, test)
}

func runIn(t *testing.T, path string, sink track.Sink, test func(t *testing.T, p *pipeline.Pipeline)) {
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, path, nil)
		p := newPipeline(&metrics{}, sink)
		ran := make(chan struct{})
		go func() { defer close(ran); p.Run(s, func() {}) }()
		test(t, p)
		<-ran
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

func take(t *testing.T, p *pipeline.Pipeline, events ...event.Event) {
	t.Helper()
	for _, ev := range events {
		if _, err := p.Event(ev, time.Now()); err != nil {
			t.Error(err)
		}
	}
}

func TestGracePeriodEndsByTheTicker(t *testing.T) {
	s := &facts{}
	run(t, s, func(t *testing.T, p *pipeline.Pipeline) {
		grace := track.DefaultConfig().Connections.GracePeriod
		take(t, p, start(id), stop(id))
		check := func(when string, want int) {
			t.Helper()
			synctest.Wait()
			// In the goroutine of the sink, which goes on after this.
			err := p.Query(t.Context(), func(*track.Tracker) {
				if closed, finished := count[track.Ended](s), count[track.Finished](s); closed != 1 || finished != want {
					t.Errorf("%s the grace it is closed %d and finished %d times, want 1 and %d", when, closed, finished, want)
				}
			})
			if err != nil {
				t.Error(err)
			}
		}
		time.Sleep(grace - tick)
		check("within", 0)
		time.Sleep(2 * tick)
		check("after", 1)
		p.Stop()
	})
	if n := count[track.Finished](s); n != 1 {
		t.Errorf("at the end it is finished %d times, want 1", n)
	}
}

func TestFactsGoToEverySinkInOrder(t *testing.T) {
	first, second := &facts{}, &facts{}
	both := sinks{first, second}
	run(t, both, func(t *testing.T, p *pipeline.Pipeline) {
		take(t, p, start("a"), start("b"), stop("a"), stop("b"))
		p.Stop()
	})
	if !slices.Equal(first.all, second.all) {
		t.Errorf("one sink has %v, the other %v", first.all, second.all)
	}
	var ids []string
	for _, f := range first.all {
		switch f := f.(type) {
		case track.Started:
			ids = append(ids, "+"+f.C.ID)
		case track.Stopped:
			ids = append(ids, "-"+f.C.ID)
		}
	}
	if want := []string{"+a", "+b", "-a", "-b"}; !slices.Equal(ids, want) {
		t.Errorf("the order is %v, want %v", ids, want)
	}
}

type sinks []track.Sink

func (s sinks) Take(f track.Fact) {
	for _, sink := range s {
		sink.Take(f)
	}
}

func TestQuerySeesStateBetweenEvents(t *testing.T) {
	run(t, &facts{}, func(t *testing.T, p *pipeline.Pipeline) {
		for _, step := range []struct {
			event  event.Event
			reason track.Reason
			label  string
		}{{start(id), "", label}, {stop(id), track.ReasonStop, label}} {
			take(t, p, step.event)
			synctest.Wait()
			looked := false
			err := p.Query(t.Context(), func(tr *track.Tracker) {
				looked = true
				c, ok := tr.Connection(source, id)
				if !ok || c.Reason() != step.reason || c.Label != step.label {
					t.Errorf("after %s: %+v, %v", step.event.Action, c, ok)
				}
			})
			if err != nil || !looked {
				t.Errorf("after %s: Query() = %v, looked %v", step.event.Action, err, looked)
			}
		}
		p.Stop()
	})
}

func TestQueryThatIsNotServed(t *testing.T) {
	never := func(*track.Tracker) { t.Error("looked") }
	t.Run("cancelled while the pipeline is busy", func(t *testing.T) {
		s := &facts{}
		run(t, s, func(t *testing.T, p *pipeline.Pipeline) {
			s.hold = make(chan struct{})
			go take(t, p, start(id))
			synctest.Wait() // for the event to be on its way
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := p.Query(ctx, never); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Query() = %v, want %v", err, context.DeadlineExceeded)
			}
			close(s.hold)
			p.Stop()
		})
	})
	t.Run("after the end", func(t *testing.T) {
		run(t, &facts{}, func(t *testing.T, p *pipeline.Pipeline) {
			p.Stop()
			synctest.Wait()
			if err := p.Query(t.Context(), never); !errors.Is(err, pipeline.ErrStopped) {
				t.Errorf("Query() = %v, want %v", err, pipeline.ErrStopped)
			}
		})
	})
}

// TestStopDrains has all that was taken go through, and what still waits for more wait on in the next
// process.
func TestStopDrains(t *testing.T) {
	const connections = 100
	s, path := &facts{}, t.TempDir()
	runIn(t, path, s, func(t *testing.T, p *pipeline.Pipeline) {
		s.hold = make(chan struct{})
		for i := range connections {
			name := id + string(rune('A'+i))
			go take(t, p, start(name))
			go take(t, p, stop(name))
		}
		synctest.Wait()
		d := track.Decision{Source: source, ID: "0af7", Label: "tcp_10.0.0.1:1+0:0", Policy: event.PolicyUnknown, Received: time.Now()}
		if queued, err := p.Decision(d); !queued || err != nil {
			t.Fatal(queued, err)
		}
		// Nothing has gone through when Stop comes.
		p.Stop()
		close(s.hold)
	})
	if opened, finished := count[track.Started](s), count[track.Finished](s); opened != connections || finished != 0 {
		t.Errorf("%d were opened and %d finished, want %d and 0", opened, finished, connections)
	}
	next := &facts{}
	runIn(t, path, next, func(t *testing.T, p *pipeline.Pipeline) {
		time.Sleep(track.DefaultConfig().Connections.GracePeriod + tick)
		p.Stop()
	})
	if opened, finished := count[track.Started](next), count[track.Finished](next); opened != 0 || finished != connections {
		t.Errorf("in the next process %d were opened and %d finished, want 0 and %d", opened, finished, connections)
	}
	if n := count[track.Unclaimed](next); n != 1 {
		t.Errorf("%d decisions were given up, want 1", n)
	}
}

// A tombstone is found for each event of a batch, though others of the batch have none.
func TestRepeatIsRecognisedBesideNewConnections(t *testing.T) {
	path := t.TempDir()
	runIn(t, path, &facts{}, func(t *testing.T, p *pipeline.Pipeline) {
		take(t, p, start(id), stop(id))
		time.Sleep(track.DefaultConfig().Connections.GracePeriod + tick)
		p.Stop()
	})
	s := &facts{}
	runIn(t, path, s, func(t *testing.T, p *pipeline.Pipeline) {
		synctest.Wait() // what was restored is published
		s.hold = make(chan struct{})
		for _, ev := range []event.Event{start("first"), start("new"), stop(id)} { // the first holds the pipeline
			go take(t, p, ev)
			synctest.Wait()
		}
		close(s.hold)
		synctest.Wait()
		p.Stop()
	})
	repeated := 0
	for _, f := range s.all {
		if r, ok := f.(track.Received); ok && r.Outcome == track.Repeated {
			repeated++
		}
	}
	if opened, stopped := count[track.Started](s), count[track.Stopped](s); opened != 2 || stopped != 0 || repeated != 1 {
		t.Errorf("%d connections started, %d stopped, %d events were repeats; want 2, 0 and 1", opened, stopped, repeated)
	}
}

func TestStopLeavesOpenConnectionsOpen(t *testing.T) {
	s := &facts{}
	run(t, s, func(t *testing.T, p *pipeline.Pipeline) {
		take(t, p, start(id))
		p.Stop()
	})
	if opened, closed := count[track.Started](s), count[track.Ended](s); opened != 1 || closed != 0 {
		t.Errorf("%d were opened and %d closed, want 1 and 0", opened, closed)
	}
}

func TestAfterStop(t *testing.T) {
	s := &facts{}
	run(t, s, func(t *testing.T, p *pipeline.Pipeline) {
		p.Stop()
		if ask, err := p.Event(start(id), time.Now()); ask || !errors.Is(err, pipeline.ErrStopped) {
			t.Errorf("Event() = %v, %v, want false, %v", ask, err, pipeline.ErrStopped)
		}
		if queued, err := p.Decision(track.Decision{Source: source}); queued || !errors.Is(err, pipeline.ErrStopped) {
			t.Errorf("Decision() = %v, %v, want false, %v", queued, err, pipeline.ErrStopped)
		}
	})
	if len(s.all) > 0 {
		t.Errorf("the sink has %v", s.all)
	}
}

// Decisions do not wait when the queue is full, and the memory for them is bounded.
func TestDecisionsWhileTheQueueIsFull(t *testing.T) {
	s := &facts{}
	queued, refused := 0, 0
	run(t, s, func(t *testing.T, p *pipeline.Pipeline) {
		s.hold = make(chan struct{})
		before := runtime.NumGoroutine()
		for range 50_000 {
			ok, err := p.Decision(track.Decision{Source: source, ID: "d", Label: label, Received: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				queued++
			} else {
				refused++
			}
		}
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n > 1 {
			t.Errorf("%d goroutines hold decisions, want one", n)
		}
		close(s.hold)
		synctest.Wait()
		if ok, err := p.Decision(track.Decision{Source: source, ID: "d", Label: label, Received: time.Now()}); !ok || err != nil {
			t.Errorf("after the queue is empty: %v, %v", ok, err)
		}
		queued++
		p.Stop()
	})
	if refused == 0 {
		t.Error("any number of decisions can wait")
	}
	if got := count[track.Received](s); got != queued {
		t.Errorf("%d decisions have gone through, of %d that were queued", got, queued)
	}
}

// Receivers wait when the queue is full; Stop must neither lose what they hold nor wait for ever.
func TestStopWhileReceiversWait(t *testing.T) {
	const receivers, each = 10, 2000
	s := &facts{}
	taken := make([]int, receivers)
	run(t, s, func(t *testing.T, p *pipeline.Pipeline) {
		s.hold = make(chan struct{})
		var wg sync.WaitGroup
		for r := range receivers {
			wg.Go(func() {
				for range each {
					if _, err := p.Event(event.Event{Action: event.ActionUnknown, Source: source}, time.Now()); err != nil {
						return
					}
					taken[r]++
				}
			})
		}
		synctest.Wait()
		go p.Stop()
		close(s.hold)
		wg.Wait()
	})
	total := 0
	for _, n := range taken {
		total += n
	}
	if got := count[track.Received](s); got != total {
		t.Errorf("%d events have gone through, of %d that were taken", got, total)
	}
}
