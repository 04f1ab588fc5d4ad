package fleet

import (
	"sync"
	"sync/atomic"
	"time"
)

// event is a message to be sent.
type event struct {
	action  Action
	body    []byte
	tries   tries
	timeout time.Duration
	// conn and delivery record the outcome; pings and neighbor messages have none.
	conn     *connection
	delivery *Delivery
	// list is the number of the list of open connections in a ping, listed are its connections.
	list   uint64
	listed []*connection
	// announces marks the announcement of a new neighbor.
	announces bool
	// garbage is the kind of unusable request to send instead of an event.
	garbage garbage
}

// pool has the sending threads of one proxy. They take events in order, but send them concurrently, so that events can
// arrive in another order.
type pool struct {
	queue    chan event
	limit    int64          // of events in flight, 0 is no limit
	inFlight sync.WaitGroup // queued or being sent
	number   atomic.Int64   // of events in flight
	threads  sync.WaitGroup
}

// newPool starts the threads, which call send for each event. limit bounds the events that are queued or being sent; 0 is
// no bound.
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

// push queues an event, and blocks while the queue is full. It returns false if the event exceeds the limit.
func (p *pool) push(e event) bool {
	if !p.reserve() {
		return false
	}
	p.queue <- e
	return true
}

// reserve counts one more event in flight. It returns false if that exceeds the limit.
func (p *pool) reserve() bool {
	if n := p.number.Add(1); p.limit > 0 && n > p.limit {
		p.number.Add(-1)
		return false
	}
	p.inFlight.Add(1)
	return true
}

// release undoes reserve.
func (p *pool) release() {
	p.number.Add(-1)
	p.inFlight.Done()
}

// discard removes the queued events, and calls drop for each.
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

// idle waits until all events in flight are sent or given up.
func (p *pool) idle() { p.inFlight.Wait() }

// close ends the threads after they have sent the queued events.
func (p *pool) close() {
	close(p.queue)
	p.threads.Wait()
}
