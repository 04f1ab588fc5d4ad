// Package pipeline is the one way through the exporter: what was received goes, in order, to the
// tracker, and the facts that come of it to every sink. One goroutine does all of it, so that neither
// the state nor a sink needs a lock against the others.
package pipeline

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// ErrStopped is returned for what comes after Stop.
var ErrStopped = errors.New("pipeline is stopped")

// queueLength is how many events may wait. At the 3,000 events/s of a busy proxy it is seconds of
// delay, which only a machine that is out of breath ever sees; beyond it receivers wait.
const queueLength = 8192

// Pipeline owns a tracker. Create it with New, and call Run once.
type Pipeline struct {
	now     func() time.Time
	tick    time.Duration
	tracker *track.Tracker

	// closing guards the sends on intake against its being closed: senders hold it for reading, so
	// that many can wait for room at once.
	closing sync.RWMutex
	closed  bool
	intake  chan item
	// overflow are decisions that found the queue full.
	overflow sync.WaitGroup
}

// item is one thing to be done in order: an event, an access-request with its answer, or a look.
type item struct {
	event    event.Event
	at       time.Time
	decision *track.Decision
	look     func(*track.Tracker)
}

// New returns a pipeline whose tracker hands its facts to the sinks. now is the clock, and tick how
// often the tracker is told the time when nothing else happens.
func New(opts track.Options, now func() time.Time, tick time.Duration, sinks ...track.Sink) *Pipeline {
	emit := func(f track.Fact) {
		for _, s := range sinks {
			s.Take(f)
		}
	}
	return &Pipeline{
		now: now, tick: tick, tracker: track.New(opts, emit),
		intake: make(chan item, queueLength),
	}
}

// Event takes an event that was received at the given time. It waits only while the queue is full,
// and fails only with ErrStopped.
func (p *Pipeline) Event(ev event.Event, at time.Time) error {
	return p.take(context.Background(), item{event: ev, at: at})
}

// Decision takes an access-request that has been answered. It never waits: the proxy that asked may
// not have seen the end of its answer yet. It fails only with ErrStopped.
func (p *Pipeline) Decision(d track.Decision) error {
	it := item{decision: &d}
	p.closing.RLock()
	defer p.closing.RUnlock()
	if p.closed {
		return ErrStopped
	}
	select {
	case p.intake <- it:
	default:
		// The queue is full. An honest proxy has one request at a time, so few wait here.
		p.overflow.Go(func() { p.intake <- it })
	}
	return nil
}

func (p *Pipeline) take(ctx context.Context, it item) error {
	p.closing.RLock()
	defer p.closing.RUnlock()
	if p.closed {
		return ErrStopped
	}
	select {
	case p.intake <- it:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Query runs look with the tracker, after all that was taken before. What look finds there is not its
// own: it must copy what it wants to keep, and change nothing.
func (p *Pipeline) Query(ctx context.Context, look func(*track.Tracker)) error {
	// Either look begins or the caller goes: whoever comes first decides.
	var decided atomic.Bool
	done := make(chan struct{})
	it := item{look: func(t *track.Tracker) {
		if decided.CompareAndSwap(false, true) {
			look(t)
			close(done)
		}
	}}
	if err := p.take(ctx, it); err != nil {
		return err
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		if decided.CompareAndSwap(false, true) {
			return ctx.Err()
		}
		<-done
		return nil
	}
}

// Run works until Stop, and returns when all that was taken has gone through.
func (p *Pipeline) Run() {
	ticker := time.NewTicker(p.tick)
	defer ticker.Stop()
	for {
		select {
		case it, ok := <-p.intake:
			if !ok {
				p.tracker.Advance(p.now())
				p.tracker.Close()
				return
			}
			p.do(it)
		case <-ticker.C:
			p.tracker.Advance(p.now())
		}
	}
}

func (p *Pipeline) do(it item) {
	switch {
	case it.look != nil:
		it.look(p.tracker)
	case it.decision != nil:
		p.tracker.Decide(*it.decision)
	default:
		p.tracker.Apply(it.event, it.at)
	}
}

// Stop makes Run finish what was taken, and take nothing more. It is called once, while Run runs.
func (p *Pipeline) Stop() {
	p.closing.Lock()
	p.closed = true
	p.closing.Unlock()
	p.overflow.Wait()
	close(p.intake)
}
