// Package pipeline is the one way through the exporter: what was received goes, in order, to the
// journal, to the tracker, and the facts that come of it to every sink. One goroutine does all of it,
// so that neither the state nor a sink needs a lock against the others.
//
// An event is in the journal before its receiver hears that it was taken. The journal holds the state
// as it was at some time, and what has moved it since; so the state, and with it the facts, come out of
// it again as they were.
package pipeline

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// ErrStopped is returned for what comes after Stop.
var ErrStopped = errors.New("pipeline is stopped")

const (
	// queueLength is how many events may wait. At the 3,000 events/s of a busy proxy it is seconds of
	// delay, which only a machine that is out of breath ever sees; beyond it receivers wait.
	queueLength = 8192
	// batchLength and batchBytes bound what is written to the journal at once.
	batchLength = 256
	batchBytes  = 1 << 20
	// commitLength bounds what the keeper is left with between two ticks.
	commitLength = 512
	// gap is how far the clock must have got between two ticks to say that the process did not run.
	gap = time.Minute
)

// Journal keeps entries on disk. It is used from one goroutine, but for Size.
type Journal interface {
	// Replay visits all that is there, in order. An entry is valid during its visit only.
	Replay(visit func(entry []byte) error) error
	// Append adds entries, which survive the process when it returns nil. After an error it may fail
	// until a Rewrite succeeds.
	Append(entries [][]byte) error
	// Rewrite replaces all that is there.
	Rewrite(entries iter.Seq[[]byte]) error
	// Size is in bytes.
	Size() int64
}

// Keeper is a sink that makes something durable of the facts. It takes the facts of a replay as well,
// and leaves out what it made durable before.
type Keeper interface {
	track.Sink
	// Commit makes durable what came of the facts since the last Commit, and returns a receipt for it,
	// which is valid until the next; nil if nothing was.
	Commit() []byte
	// Settled is told during a replay of a receipt: what it stands for is durable.
	Settled(receipt []byte)
}

// Meter counts.
type Meter interface {
	// Unjournaled events were answered without being written down.
	Unjournaled(events int)
	// Replayed entries brought the state back at the start.
	Replayed(entries int, took time.Duration)
}

// Config is what a pipeline is made of.
type Config struct {
	Track track.Options
	// Now is the clock, and Tick how often the tracker is told the time when nothing else happens.
	Now     func() time.Time
	Tick    time.Duration
	Journal Journal
	// RewriteBytes is by how much the journal may grow before it is written anew; 0 is 32 MiB.
	RewriteBytes int64
	// Keeper may be nil.
	Keeper Keeper
	Sinks  []track.Sink
	Meter  Meter
	Logger *slog.Logger
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

	// replaying keeps the facts of a replay from all sinks but the keeper.
	replaying bool
	// faulty is set while the journal does not hold the whole state; unwritten when that has just
	// happened, and it has not been written anew.
	faulty, unwritten    bool
	retryAt, rewrittenAt time.Time
	// base is the size of the journal when it was written anew.
	base int64
	// advanced is how far the tracker was advanced, lastTick when the ticker last ticked.
	advanced, lastTick time.Time
	// uncommitted is how many items have gone through since the last commit.
	uncommitted   int
	batch         []item
	entries       [][]byte
	encoded, note []byte
}

// item is one thing to be done in order: an event, an access-request with its answer, or a look.
type item struct {
	event    event.Event
	at       time.Time
	body     []byte
	taken    *taken
	decision *track.Decision
	look     func(*track.Tracker)
}

// taken is where the receiver of an event waits until it has been taken.
type taken struct {
	done chan struct{} // has room for one
	ask  bool
}

// New returns a pipeline.
func New(c Config) *Pipeline {
	if c.RewriteBytes == 0 {
		c.RewriteBytes = rewriteBytes
	}
	p := &Pipeline{Config: c, intake: make(chan item, queueLength)}
	p.waiting.New = func() any { return &taken{done: make(chan struct{}, 1)} }
	p.tracker = track.New(c.Track, p.emit)
	return p
}

func (p *Pipeline) emit(f track.Fact) {
	if p.Keeper != nil {
		p.Keeper.Take(f)
	}
	if p.replaying {
		return
	}
	for _, s := range p.Sinks {
		s.Take(f)
	}
}

// Event takes an event that was received at the given time, with the body that it was decoded from. It
// returns when the event has been written down and has had its effect, and says whether the answer
// shall ask the proxy for all that is open. It fails only with ErrStopped.
func (p *Pipeline) Event(ev event.Event, at time.Time, body []byte) (ask bool, err error) {
	t := p.waiting.Get().(*taken)
	defer p.waiting.Put(t)
	if err := p.take(context.Background(), item{event: ev, at: at, body: body, taken: t}); err != nil {
		return false, err
	}
	<-t.done
	return t.ask, nil
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

// Stop makes Run finish what was taken, and take nothing more. It is called once, while Run runs.
func (p *Pipeline) Stop() {
	p.closing.Lock()
	p.closed = true
	p.closing.Unlock()
	p.overflow.Wait()
	close(p.intake)
}
