package track

import (
	"time"

	"smithproxy_exporter/exporter/event"
)

// Decide records an access-request that has been answered, and sets its request count. past is the tombstone of the
// connection's id; nil unless the request has an id, NeedsPast asked for the tombstone, and it exists.
func (t *Tracker) Decide(d Decision, past *Past) {
	at := d.received()
	p := t.admit(d.Source, event.ActionAccess, at)
	if p == nil {
		t.emit(Received{Source: d.Source, Action: event.ActionAccess, Outcome: Untracked})
		return
	}
	p.dirty = p.shutdown.alive() || p.dirty
	d.Label = event.Cut(d.Label, t.limits.textBytes)
	d.Requests = 1
	outcome := Applied
	switch repeat, c := p.decisions.record(&d); repeat {
	case firstRequest:
		t.emit(Decided{D: &d})
		t.decided(p, &d, past, at)
	default:
		t.emit(Decided{D: &d, Repeat: true})
		if c != nil {
			t.touch(c)
		}
		if repeat == doubtfulRequest {
			outcome = Repeated
		}
	}
	t.emit(Received{Source: d.Source, Action: event.ActionAccess, Outcome: outcome})
}

// decided joins a new decision with its connection, or keeps it pending until the connection is known.
func (t *Tracker) decided(p *proxy, d *Decision, past *Past, at Instant) {
	c := p.decisions.connectionFor(d)
	if instance := event.Instance(d.ConnectionID); instance != "" {
		t.seeInstance(p, instance)
		c = t.connectionOfRequest(p, d, past, at)
	}
	if c == nil {
		p.decisions.put(d)
		return
	}
	t.attach(p, c, d, at)
	t.afterEvent(p, c, at)
}

// connectionOfRequest returns the connection whose id a request in the form of the HOWTO has, and creates its record if
// there is none; nil if the connection is finished.
func (t *Tracker) connectionOfRequest(p *proxy, d *Decision, past *Past, at Instant) *Connection {
	if c, ok := p.conns.find(d.ConnectionID, d.Label); ok {
		return c
	}
	if remembered, ok := t.pasts.get(p.source, d.ConnectionID); ok {
		past = remembered
	}
	if past != nil {
		return nil
	}
	c := t.record(p, d.ConnectionID, 1, at)
	c.first = at
	t.move(p, c, inAlive, at)
	return c
}

// join attaches the decision about a connection, if it is known. An echo overrules a join by label.
func (t *Tracker) join(p *proxy, c *Connection, at Instant) {
	if c.State == StateClosed {
		return
	}
	if c.Decision != nil && c.echoesOther(c.Decision) {
		p.decisions.release(c)
		t.touch(c)
	}
	if d, from := p.decisions.match(c); d != nil {
		if from != nil {
			p.decisions.release(from)
			t.touch(from)
		}
		t.attach(p, c, d, at)
		if from != nil {
			t.join(p, from, at)
		}
	}
	if c.Decision != nil && c.Echo != nil && c.Echo.Decision != "" {
		c.Decision.EchoedAt = c.informed.Mono
	}
}

// attach sets the decision of a connection.
func (t *Tracker) attach(p *proxy, c *Connection, d *Decision, at Instant) {
	p.decisions.take(d)
	c.Decision = d
	if d.Doubtful {
		d.Doubtful = false
		t.emit(Decided{D: d, Corrected: true})
	}
	c.first = earlier(c.first, d.received())
	p.conns.relabel(c, func() { c.setLabel(d.Label, rankAccess, t.limits) })
	t.touch(c)
}

// expireDecisions expires up to stepItems decisions that have been pending since the given time or longer, and reports
// whether there may be more.
func (t *Tracker) expireDecisions(p *proxy, since time.Duration) (more bool) {
	for range stepItems {
		d := p.decisions.expire(since)
		if d == nil {
			return false
		}
		t.mark(p)
		if !d.Doubtful {
			t.emit(Unclaimed{d})
		}
	}
	return true
}
