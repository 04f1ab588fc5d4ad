// Package pipeline is the one way through the exporter: what was received goes, in order, to the tracker, the
// facts that come of it to every sink, and what changed to the store. One goroutine does all of it, so that
// neither the state nor a sink needs a lock against the others.
//
// Events are taken in batches. All that a batch changed and all spans that came of it are committed to the store
// at once, and only then are its events acknowledged: after a crash there is all of a batch, or none of it. See
// persist.go for what happens when the disk fails.
package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/privacy"
	"smithproxy_exporter/exporter/store"
	"smithproxy_exporter/exporter/track"
)

// ErrStopped is returned for what comes after Stop.
var ErrStopped = errors.New("pipeline is stopped")

const (
	// queueLength is how many events may wait. At the 3,000 events/s of a busy proxy it is seconds of
	// delay, which only an overloaded machine ever sees; beyond it receivers wait.
	queueLength = 8192
	// batchLength bounds a batch: what it changes is held in memory, and all its events wait for it.
	batchLength = 256
	// DefaultTick is how often time-outs are looked at.
	DefaultTick = 250 * time.Millisecond
)

// SpanMaker is a sink that makes spans of facts.
type SpanMaker interface {
	track.Sink
	// Encoded passes on what was made since the last call: encoded ResourceSpans messages, and how many spans
	// are in each. They are valid during the visit.
	Encoded(visit func(encoded []byte, spans int))
}

// Metrics counts. Its methods are called from the goroutine of Run.
type Metrics interface {
	// Unsaved events were acknowledged without being persisted.
	Unsaved(events int)
	// Behind is whether the store misses changes.
	Behind(bool)
	// Restored records brought the state back at the start.
	Restored(records int, took time.Duration)
}

// Config is what a pipeline is made of.
type Config struct {
	Track track.Options
	// Privacy is applied to all that is taken; nil keeps everything.
	Privacy *privacy.Policy
	// Now is the wall clock, and Mono the monotonic clock at a time that Now returned. Mono may be nil:
	// times must hold a reading of the monotonic clock then, as those of time.Now do.
	Now  func() time.Time
	Mono func(time.Time) time.Duration
	Tick time.Duration
	// Spans may be nil.
	Spans   SpanMaker
	Sinks   []track.Sink
	Metrics Metrics
	Logger  *slog.Logger
}

// Pipeline owns a tracker. Create it with New, and call Run once.
type Pipeline struct {
	Config
	tracker *track.Tracker

	// closing guards the sends on intake against its being closed: senders hold it for reading, so
	// that many can wait for room at once.
	closing sync.RWMutex
	closed  bool
	intake  chan item
	// overflow are decisions that found the queue full.
	overflow sync.WaitGroup
	// waiting are *taken that are not in use.
	waiting sync.Pool

	// The rest belongs to Run.

	clock clock
	store *store.Store
	saved saved
	batch []item
	// more is set while the tracker has work that does not wait for time to pass.
	more bool
}

// item is one thing to be done in order: an event, an access-request with its answer, or a look.
type item struct {
	event    event.Event
	at       time.Time
	taken    *taken
	decision *track.Decision
	look     func(*track.Tracker)
	advance  bool
}

// taken is where the receiver of an event waits until it is acknowledged.
type taken struct {
	done chan struct{} // has room for one
	ask  bool
}

// New returns a pipeline.
func New(c Config) *Pipeline {
	p := &Pipeline{Config: c, intake: make(chan item, queueLength)}
	p.waiting.New = func() any { return &taken{done: make(chan struct{}, 1)} }
	p.tracker = track.New(c.Track, p.emit)
	p.tracker.Privacy = c.Privacy
	p.clock = newClock(c.Mono, c.Now()) // for what is received before Run, too
	return p
}

func (p *Pipeline) emit(f track.Fact) {
	if p.Spans != nil {
		p.Spans.Take(f)
	}
	for _, s := range p.Sinks {
		s.Take(f)
	}
}

// Event takes an event that was received at the given time. It returns when the event has had its effect, and
// that is in the store or the store takes too long; ask says whether the answer shall ask the proxy for all that is
// open. It fails only with ErrStopped.
func (p *Pipeline) Event(ev event.Event, at time.Time) (ask bool, err error) {
	t := p.waiting.Get().(*taken)
	defer p.waiting.Put(t)
	if err := p.take(context.Background(), item{event: p.Privacy.Event(ev), at: at, taken: t}); err != nil {
		return false, err
	}
	<-t.done
	return t.ask, nil
}

// Decision takes an access-request that has been answered. It never waits: the proxy that asked may
// not have seen the end of its answer yet. It fails only with ErrStopped.
func (p *Pipeline) Decision(d track.Decision) error {
	d.Label, d.ConnectionID = p.Privacy.Session(d.Label), p.Privacy.ID(d.ConnectionID)
	it := item{decision: &d, at: d.Received}
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
// own: it must copy what it wants to keep, change nothing, and be done within a fraction of a millisecond, for
// all events wait for it.
func (p *Pipeline) Query(ctx context.Context, look func(*track.Tracker)) error {
	// Either look begins or the caller leaves, whichever comes first.
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

// Advance does all that is due, without waiting for a tick, and returns when it is done: for tests that set the
// clock. It fails only with ErrStopped.
func (p *Pipeline) Advance() error {
	t := p.waiting.Get().(*taken)
	defer p.waiting.Put(t)
	if err := p.take(context.Background(), item{advance: true, taken: t}); err != nil {
		return err
	}
	<-t.done
	return nil
}

// Stop makes Run finish what was taken, and take nothing more. It is called once, while Run runs.
func (p *Pipeline) Stop() {
	p.closing.Lock()
	p.closed = true
	p.closing.Unlock()
	p.overflow.Wait()
	close(p.intake)
}
