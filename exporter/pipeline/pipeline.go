// Package pipeline is the one way through the exporter: what was received goes, in order, to the
// tracker, and the facts that come of it to every sink. One goroutine does all of it, so that neither
// the state nor a sink needs a lock against the others.
package pipeline

import (
	"context"
	"errors"
	"sync"
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

	queries chan func(*track.Tracker)
	stopped chan struct{}
}

// item is one thing that was received: an event, or an access-request with its answer.
type item struct {
	event    event.Event
	decision *track.Decision
	at       time.Time
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
		intake:  make(chan item, queueLength),
		queries: make(chan func(*track.Tracker)),
		stopped: make(chan struct{}),
	}
}

// Event takes an event that was received at the given time. It waits only while the queue is full,
// and fails only with ErrStopped.
func (p *Pipeline) Event(ev event.Event, at time.Time) error { return p.take(item{event: ev, at: at}) }

// Decision takes an access-request that has been answered. See Event.
func (p *Pipeline) Decision(d track.Decision) error { return p.take(item{decision: &d}) }

func (p *Pipeline) take(it item) error {
	p.closing.RLock()
	defer p.closing.RUnlock()
	if p.closed {
		return ErrStopped
	}
	p.intake <- it
	return nil
}

// Query runs look with the tracker, between two events. What look finds there is not its own: it must
// copy what it wants to keep, and change nothing.
func (p *Pipeline) Query(ctx context.Context, look func(*track.Tracker)) error {
	done := make(chan struct{})
	select {
	case p.queries <- func(t *track.Tracker) { look(t); close(done) }:
		<-done
		return nil
	case <-p.stopped:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run works until Stop, and returns when all that was taken has gone through.
func (p *Pipeline) Run() {
	defer close(p.stopped)
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
			if it.decision != nil {
				p.tracker.Decide(*it.decision)
			} else {
				p.tracker.Apply(it.event, it.at)
			}
		case look := <-p.queries:
			look(p.tracker)
		case <-ticker.C:
			p.tracker.Advance(p.now())
		}
	}
}

// Stop makes Run finish what was taken, and take nothing more.
func (p *Pipeline) Stop() {
	p.closing.Lock()
	defer p.closing.Unlock()
	p.closed = true
	close(p.intake)
}
