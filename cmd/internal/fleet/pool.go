package fleet

import (
	"sync"
	"sync/atomic"
	"time"
)

// event is one message on its way out.
type event struct {
	action  Action
	body    []byte
	tries   tries
	timeout time.Duration
	// conn and delivery say where to note what became of it; pings and neighbor
	// messages have none.
	conn     *connection
	delivery *Delivery
	// list is the number of a ping with a list of open connections, listed what
	// it holds.
	list   uint64
	listed []*connection
	// announces marks the announcement of a new neighbor.
	announces bool
	// garbage is the kind of unusable request to send instead of an event.
	garbage garbage
}

// pool is the sending threads of one proxy. They take events in order, but
// what one of them sends may overtake what another does.
type pool struct {
	queue    chan event
	limit    int64          // of events in flight, 0 is none
	inFlight sync.WaitGroup // queued or being sent
	number   atomic.Int64   // of those
	threads  sync.WaitGroup
}

// newPool starts the threads; each sends with the given function. The limit
// bounds the events that wait or are being sent; 0 is no bound.
func newPool(threads, queue, limit int, send func(event)) *pool {
	p := &pool{queue: make(chan event, queue), limit: int64(limit)}
	for range threads {
		p.threads.Go(func() {
			for e := range p.queue {
				send(e)
				p.release()
			}
		})
	}
	return p
}

// push hands an event to the threads, and waits while the channel to them is
// full. It reports false when the event exceeds the limit.
func (p *pool) push(e event) bool {
	if !p.reserve() {
		return false
	}
	p.queue <- e
	return true
}

// reserve counts one more event in flight, unless it exceeds the limit.
func (p *pool) reserve() bool {
	if n := p.number.Add(1); p.limit > 0 && n > p.limit {
		p.number.Add(-1)
		return false
	}
	p.inFlight.Add(1)
	return true
}

// release ends what reserve began.
func (p *pool) release() {
	p.number.Add(-1)
	p.inFlight.Done()
}

// discard takes the events that still wait and hands each to the function.
func (p *pool) discard(drop func(event)) {
	for {
		select {
		case e := <-p.queue:
			drop(e)
			p.release()
		default:
			return
		}
	}
}

// idle waits until everything that was pushed has been sent or given up.
func (p *pool) idle() { p.inFlight.Wait() }

// close ends the threads after what is queued.
func (p *pool) close() {
	close(p.queue)
	p.threads.Wait()
}
