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

// enqueue queues an event. If that exceeds the limit of the queue, the event is dropped, and nothing of it is sent.
func (p *proxy) enqueue(e event) {
	if !p.pool.push(e) {
		p.giveUp(e, outcome{dropped: true})
	}
}

// giveUp records that an event is never sent.
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

// deliver sends an event, with as many tries as the generation has. Only failures of the transfer are retried; any status
// ends the tries.
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
			// An error is expected; an answer to half a request changes nothing.
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

// tryOnce sends a request once, with the given timeout if each try has its own.
func (p *proxy) tryOnce(ctx context.Context, r request, timeout time.Duration) (answer, error) {
	if !p.behavior.sharedTimeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	return p.exchange(ctx, r)
}

// undelivered reports whether a transfer failed before anything was sent: the name was not resolved, or the connection
// was refused.
func undelivered(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) || errors.Is(err, syscall.ECONNREFUSED)
}

// pause waits, and reports false if ctx is done.
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

// finish counts an event that is not tried again.
func (p *proxy) finish(e event, o outcome) {
	p.live.events.Add(1)
	if o.acked == 0 {
		p.live.failed.Add(1)
	}
	p.ledger.event(e.action, o)
}

// send delivers an event, on one of the threads.
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

// causesRefresh reports whether smithproxy sends its open connections after a 202 to the action.
func causesRefresh(a Action) bool {
	return a == ActionStart || a == ActionStop || a == ActionInfo
}

// refresh sends the open connections and the neighbors. It runs on the thread that got the 202; its events count towards
// the limit of the queue.
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

// gate limits the rate of refreshes of one process. Its zero value allows the first one.
type gate struct {
	mu   sync.Mutex
	last time.Time
}

// allow reports whether at least gap has passed since the last time that it allowed.
func (g *gate) allow(now time.Time, gap time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.last.IsZero() && now.Sub(g.last) < gap {
		return false
	}
	g.last = now
	return true
}

// reset forgets the last time, for a new process.
func (g *gate) reset() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = time.Time{}
}
