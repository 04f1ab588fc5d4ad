// Package pipeline passes events to the tracker in order, the resulting facts to every sink, and changed records to the
// store. One goroutine does all of it, so that neither the state nor a sink needs a lock.
//
// Events are handled in batches. The changes and the spans of a batch are committed to the store in one transaction,
// before its events are acknowledged: after a crash the store has all effects of a batch, or none. See persist.go for
// disk failures.
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

// ErrStopped is returned by calls after Stop.
var ErrStopped = errors.New("pipeline is stopped")

const (
	// queueLength bounds the events that wait; receivers block beyond it. At the 3,000 events/s of a busy proxy it is a
	// delay of seconds, which only an overloaded machine reaches.
	queueLength = 8192
	// batchLength bounds a batch: its changes are in memory, and all its events wait for its commit.
	batchLength = 256
	// DefaultTick is the interval in which deadlines are checked.
	DefaultTick = 250 * time.Millisecond
)

// SpanMaker is a sink that turns facts into spans.
type SpanMaker interface {
	track.Sink
	// Encoded visits the spans since the last call: encoded ResourceSpans messages, and the number of spans in each. A
	// message is valid during the visit.
	Encoded(visit func(encoded []byte, spans int))
	// Sampled is for track.Tracker.Sampled.
	Sampled(c *track.Connection, at time.Time) bool
}

// Metrics has the metrics of a pipeline. Its methods are called from the goroutine of Run.
type Metrics interface {
	// Unsaved counts events that were acknowledged without being persisted.
	Unsaved(events int)
	// Behind records whether the store lacks changes.
	Behind(bool)
	// Restored records the number of records that were restored at the start, and the time that it took.
	Restored(records int, took time.Duration)
}

// Options are the options of a Pipeline.
type Options struct {
	Track track.Config
	// Privacy is applied to all that is taken; nil keeps everything.
	Privacy *privacy.Policy
	// Now is the wall clock. Mono returns the monotonic clock at a time that Now returned; if it is nil, times must have
	// a monotonic clock reading, like those of time.Now.
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
	Options
	tracker *track.Tracker

	// closing guards intake against sends after it is closed. Senders hold it for reading, so that many can wait for
	// room at once.
	closing  sync.RWMutex
	closed   bool
	intake   chan item
	overflow overflow
	// waiting has unused *taken.
	waiting sync.Pool

	// The rest belongs to Run.

	clock clock
	store *store.Store
	saved saved
	batch []item
	// forgets are the calls of Forget that wait.
	forgets []*forget
	// more is set while the tracker has work that does not depend on time.
	more bool
}

// item is an element of the queue: an event, an answered access-request, a query, a proxy to be forgotten, or a call of
// Advance.
type item struct {
	event    event.Event
	at       time.Time
	taken    *taken
	decision *track.Decision
	query    func(*track.Tracker)
	forget   *forget
	advance  bool
}

// taken is what the receiver of an event waits on until the event is committed.
type taken struct {
	done chan struct{} // has a buffer of one
	ask  bool
}

// New returns a pipeline.
func New(o Options) *Pipeline {
	p := &Pipeline{Options: o, intake: make(chan item, queueLength)}
	p.waiting.New = func() any { return &taken{done: make(chan struct{}, 1)} }
	p.tracker = track.New(o.Track, p.emit)
	p.tracker.Privacy = o.Privacy
	p.tracker.Sampled = func(*track.Connection, time.Time) bool { return false } // there are no traces
	if o.Spans != nil {
		p.tracker.Sampled = o.Spans.Sampled
	}
	p.clock = newClock(o.Mono, o.Now()) // also for events that are received before Run
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

// Event handles an event that was received at the given time. It returns when the effects of the event are committed,
// or the store takes too long. ask reports whether to respond with 202, which asks the proxy for its open connections.
// The only error is ErrStopped.
func (p *Pipeline) Event(ev event.Event, at time.Time) (ask bool, err error) {
	t := p.waiting.Get().(*taken)
	defer p.waiting.Put(t)
	if err := p.take(context.Background(), item{event: p.Privacy.Event(ev), at: at, taken: t}); err != nil {
		return false, err
	}
	<-t.done
	return t.ask, nil
}

// Decision queues an answered access-request. It never blocks, because the proxy may not have received the whole answer
// yet. queued is false if too many decisions wait already; then this one is not recorded. The only error is ErrStopped.
func (p *Pipeline) Decision(d track.Decision) (queued bool, err error) {
	d.Label, d.ConnectionID = p.Privacy.Session(d.Label), p.Privacy.ID(d.ConnectionID)
	it := item{decision: &d, at: d.Received}
	p.closing.RLock()
	defer p.closing.RUnlock()
	if p.closed {
		return false, ErrStopped
	}
	select {
	case p.intake <- it:
		return true, nil
	default:
		return p.overflow.add(it, p.intake), nil
	}
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

// Query calls look with the tracker, after the items that were queued before. look must not change anything, must copy
// what it keeps, and must return within a fraction of a millisecond, because all events wait for it.
func (p *Pipeline) Query(ctx context.Context, look func(*track.Tracker)) error {
	// decided is set either when look begins, or when the caller gives up.
	var decided atomic.Bool
	done := make(chan struct{})
	it := item{query: func(t *track.Tracker) {
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

// Advance does everything that is due without waiting for a tick, and returns when it is done. It is for tests that set
// the clock. The only error is ErrStopped.
func (p *Pipeline) Advance() error {
	t := p.waiting.Get().(*taken)
	defer p.waiting.Put(t)
	if err := p.take(context.Background(), item{advance: true, taken: t}); err != nil {
		return err
	}
	<-t.done
	return nil
}

// Stop ends the intake, and makes Run return after the queued items. It is called once, while Run runs.
func (p *Pipeline) Stop() {
	p.closing.Lock()
	p.closed = true
	p.closing.Unlock()
	p.overflow.moved.Wait()
	close(p.intake)
}
