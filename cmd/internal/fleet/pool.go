package fleet

import (
	"context"
	"sync"
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
	// list is the number of a ping with a list of open connections.
	list uint64
	// announces is a new neighbor.
	announces bool
	// garbage is what kind of unusable request it is instead.
	garbage garbage
}

// pool is the sending threads of one proxy. They take events in order, but
// what one of them sends may overtake what another does.
type pool struct {
	queue    chan event
	inFlight sync.WaitGroup // queued or being sent
	threads  sync.WaitGroup
}

// newPool starts the threads; each sends with the given function.
func newPool(threads, queue int, send func(event)) *pool {
	p := &pool{queue: make(chan event, queue)}
	for range threads {
		p.threads.Go(func() {
			for e := range p.queue {
				send(e)
				p.inFlight.Done()
			}
		})
	}
	return p
}

// push hands an event to the threads. It waits while their queue is full.
func (p *pool) push(e event) {
	p.inFlight.Add(1)
	p.queue <- e
}

// idle waits until everything that was pushed has been sent or given up.
func (p *pool) idle() { p.inFlight.Wait() }

// close ends the threads after what is queued.
func (p *pool) close() {
	close(p.queue)
	p.threads.Wait()
}

// deliver sends an event with as many tries as it takes and has, at once one
// after the other. Only transfer failures are tried again, a status is not.
func (p *proxy) deliver(ctx context.Context, e event) outcome {
	var o outcome
	if e.tries.never {
		p.finish(e, o)
		return o
	}
	aborts, repeats := e.tries.aborts, e.tries.repeats
	for o.tries < p.cfg.Tries && ctx.Err() == nil {
		o.tries++
		if o.tries > 1 {
			p.live.retries.Add(1)
		}
		if e.delivery != nil {
			e.delivery.tried(time.Now())
		}
		r := request{method: "POST", path: p.path, body: e.body}
		if aborts > 0 {
			aborts--
			o.aborted++
			r.abort = true
			// The error is the point; an answer to half a request changes nothing.
			_, _ = p.exchanger.do(ctx, r, e.timeout)
			continue
		}
		a, err := p.exchanger.do(ctx, r, e.timeout)
		if err != nil {
			o.failures++
			p.logger.Debug("Transfer failed", "source", p.source, "action", e.action, "try", o.tries, "err", err)
			continue
		}
		p.live.deliveries.Add(1)
		o.answers = append(o.answers, a.status)
		o.last = a
		if a.ok() {
			o.acked++
			p.live.acknowledged.Add(1)
		}
		if e.delivery != nil {
			e.delivery.note(a)
		}
		if repeats == 0 {
			break
		}
		repeats-- // the proxy did not see this answer
		o.last = answer{}
	}
	p.finish(e, o)
	return o
}

// finish counts an event that will not be tried again.
func (p *proxy) finish(e event, o outcome) {
	p.live.events.Add(1)
	if o.acked == 0 {
		p.live.failed.Add(1)
	}
	p.ledger.event(e.action, o)
}

// send is what a thread does with an event.
func (p *proxy) send(e event) {
	if e.garbage != garbageNone {
		p.sendGarbage(p.sendContext, e)
		return
	}
	o := p.deliver(p.sendContext, e)
	if o.acked > 0 {
		if e.list > 0 {
			p.listTaken(e.list)
		}
		if e.announces {
			p.ledger.with(func(t *Totals) { t.NeighborsAcknowledged++ })
		}
	}
	if o.last.status == 202 && refreshes(e.action) && p.form == FormCurrent {
		// The receiver wants to know what is open.
		p.deliverPing(p.sendContext, true)
		if all := p.neighbors.all(); len(all) > 0 {
			p.deliver(p.sendContext, p.neighborEvent("ping", all))
		}
	}
	if e.conn != nil {
		p.release(e.conn)
	}
}

// refreshes says whether answering 202 to the action makes smithproxy report.
func refreshes(a Action) bool {
	return a == ActionStart || a == ActionStop || a == ActionInfo
}
