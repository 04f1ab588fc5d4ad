package fleet

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"
)

// enqueue hands an event to the sending threads. What exceeds the limit of the
// queue is dropped without a trace on the wire.
func (p *proxy) enqueue(e event) {
	if !p.pool.push(e) {
		p.giveUp(e, outcome{dropped: true})
	}
}

// giveUp notes that an event will never be sent.
func (p *proxy) giveUp(e event, o outcome) {
	if e.garbage != garbageNone {
		return // not an event of the proxy
	}
	if e.delivery != nil {
		e.delivery.Dropped = true
	}
	p.finish(e, o)
	if e.conn != nil {
		p.release(e.conn)
	}
}

// deliver sends an event with as many tries as it takes and the generation has.
// Only transfer failures are tried again, a status is not.
func (p *proxy) deliver(ctx context.Context, e event) outcome {
	var o outcome
	if e.tries.never {
		p.finish(e, o)
		return o
	}
	b := p.behavior
	if b.sharedTimeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, e.timeout)
		defer cancel()
	}
	aborts, repeats := e.tries.aborts, e.tries.repeats
	for o.tries < b.tries && ctx.Err() == nil {
		if o.tries > 0 && !pause(ctx, b.retryDelay) {
			break
		}
		o.tries++
		if o.tries > 1 {
			p.live.retries.Add(1)
		}
		if e.delivery != nil {
			e.delivery.tried(time.Now())
		}
		r := request{method: http.MethodPost, path: p.path, body: e.body}
		if aborts > 0 {
			aborts--
			o.aborted++
			r.abort = true
			// The error is the point; an answer to half a request changes nothing.
			_, _ = p.tryOnce(ctx, r, e.timeout)
			if !b.retryAll {
				break
			}
			continue
		}
		a, err := p.tryOnce(ctx, r, e.timeout)
		if err != nil {
			o.failures++
			p.logger.Debug("Transfer failed", "source", p.source, "action", e.action, "try", o.tries, "err", err)
			if undelivered(err) {
				continue
			}
			if e.conn != nil {
				e.conn.uncertain.Store(true)
			}
			if !b.retryAll {
				break
			}
			continue
		}
		p.live.deliveries.Add(1)
		o.answers = append(o.answers, a.status)
		o.last = a
		if a.ok() {
			o.acked++
			o.acknowledged = a
			if e.conn != nil && e.action == ActionStop {
				e.conn.stopTold.Store(true)
			}
			p.live.acknowledged.Add(1)
		}
		if e.delivery != nil {
			e.delivery.note(a)
		}
		if repeats == 0 {
			break
		}
		repeats--
		o.last = answer{} // the proxy did not see this answer
		if !b.retryAll {
			break
		}
	}
	p.finish(e, o)
	return o
}

// tryOnce makes one exchange. Where tries have a timeout each, it is the given
// one.
func (p *proxy) tryOnce(ctx context.Context, r request, timeout time.Duration) (answer, error) {
	if !p.behavior.sharedTimeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return p.exchange(ctx, r)
}

// undelivered reports whether a transfer failed before anything left: the name
// was not resolved or the connection was refused.
func undelivered(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) || errors.Is(err, syscall.ECONNREFUSED)
}

// pause waits, and reports whether the context is still good.
func pause(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return true
	}
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
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
		p.listTaken(e)
		if e.announces {
			p.ledger.with(func(t *Totals) { t.NeighborsAcknowledged++ })
		}
	}
	if o.last.status == http.StatusAccepted && causesRefresh(e.action) && p.form == FormCurrent &&
		p.refreshes.allow(time.Now(), p.behavior.refreshGap) {
		p.refresh()
	}
	if e.conn != nil {
		p.release(e.conn)
	}
}

// causesRefresh says whether a 202 to the action makes smithproxy report what is
// open.
func causesRefresh(a Action) bool {
	return a == ActionStart || a == ActionStop || a == ActionInfo
}

// refresh reports what is open and which neighbors there are. It runs on the
// thread that got the 202; its events count towards the limit of the queue.
func (p *proxy) refresh() {
	p.sendAtOnce(p.pingEvent(true))
	if all := p.neighbors.all(); len(all) > 0 {
		p.sendAtOnce(p.neighborEvent("ping", all))
	}
}

func (p *proxy) sendAtOnce(e event) {
	if !p.pool.reserve() {
		p.giveUp(e, outcome{dropped: true})
		return
	}
	defer p.pool.release()
	if o := p.deliver(p.sendContext, e); o.acked > 0 {
		p.listTaken(e)
	}
}

// gate spaces the refreshes of one process. Its zero value lets the first pass.
type gate struct {
	mu   sync.Mutex
	last time.Time
}

// allow reports whether the gap since the last allowed time is over.
func (g *gate) allow(now time.Time, gap time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.last.IsZero() && now.Sub(g.last) < gap {
		return false
	}
	g.last = now
	return true
}

// reset forgets the last time, as a new process does.
func (g *gate) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = time.Time{}
}
