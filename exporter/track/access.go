package track

import (
	"time"

	"smithproxy_exporter/exporter/event"
)

// Decide records an access-request that has been answered. The label, the session and the request
// count are filled in here.
func (t *Tracker) Decide(d Decision) {
	p := t.admit(d.Source, event.ActionAccess, d.Received)
	if p == nil {
		return
	}
	t.emit(Received{Source: d.Source, Action: event.ActionAccess})
	d.Label = event.Cut(d.Label, t.opts.Limits.TextBytes)
	d.Session = event.ParseSession(d.Label)
	d.Requests = 1
	if earlier := p.earlier(&d); earlier != nil {
		earlier.join(d)
		t.emit(Decided{D: &d, Repeat: true})
		if earlier.Requests > earlier.expectedRequests() {
			t.emit(Duplicate{Source: d.Source, Action: event.ActionAccess})
		}
		return
	}
	t.emit(Decided{D: &d})
	if c := t.asked(p, &d); c != nil {
		t.attach(p, c, &d)
		t.settle(p, c, d.Received)
		return
	}
	p.pending.add(&d)
}

// earlier returns the decision that d only repeats, if there is one.
func (p *proxy) earlier(d *Decision) *Decision {
	key := clientOf(d.Label, d.Session)
	if o := p.pending.find(d.Label, d.Session, ""); o != nil {
		return o
	}
	for c := range p.conns.ofClient(key) {
		if c.Decision != nil && d.isAbout(c.Decision.Label, c.Decision.Session) && c.canHaveAsked(d) {
			return c.Decision
		}
	}
	p.pending.unsettle(d.Received.Add(-overtakenBy))
	if o := p.pending.settled[key]; o != nil && d.isAbout(o.Label, o.Session) {
		return o
	}
	return nil
}

// asked returns the connection that d is about, if it is known already.
func (t *Tracker) asked(p *proxy, d *Decision) *Connection {
	if instance := event.Instance(d.ConnectionID); instance != "" {
		t.seeInstance(p, instance, d.Received)
		if _, over := p.finished.byID[d.ConnectionID]; over {
			return nil
		}
		return t.record(p, d.ConnectionID, instance)
	}
	for c := range p.conns.ofClient(clientOf(d.Label, d.Session)) {
		if c.Decision == nil && c.canHaveAsked(d) && d.isAbout(c.Label, c.Session) {
			return c
		}
	}
	return nil
}

// overtakenBy is by how much an access-request can seem to come after the end of its own connection.
// Beyond it the client's port serves another connection.
const overtakenBy = 2 * time.Second

func (c *Connection) canHaveAsked(d *Decision) bool {
	return c.StoppedAt.IsZero() || d.Received.Before(c.StoppedAt.Add(overtakenBy))
}

// claimDecision joins a connection with the decision that was made about it before it was known.
func (t *Tracker) claimDecision(p *proxy, c *Connection) {
	if c.Decision != nil || c.Label == "" {
		return
	}
	echoed := ""
	if c.Echo != nil {
		echoed = c.Echo.Decision
	}
	d := p.pending.find(c.Label, c.Session, echoed)
	if d == nil || !c.canHaveAsked(d) {
		return
	}
	p.pending.claim(d)
	t.attach(p, c, d)
}

func (t *Tracker) attach(p *proxy, c *Connection, d *Decision) {
	d.claimed = true
	c.Decision = d
	if c.firstAt.IsZero() || d.Received.Before(c.firstAt) {
		c.firstAt = d.Received
	}
	p.conns.relabel(c, func() { c.setLabel(d.Label, rankAccess, t.opts.Limits) })
}

// expireDecisions gives up on decisions whose connection did not become known within the linger.
func (t *Tracker) expireDecisions(p *proxy, now time.Time) {
	for {
		d, ok := p.pending.queue.peek()
		if !ok {
			return
		}
		since := d.Received
		if since.Before(t.resumedAt) {
			since = t.resumedAt
		}
		if since.Add(t.opts.Linger).After(now) {
			return
		}
		p.pending.queue.pop()
		t.unclaimed(p, d)
	}
}

func (t *Tracker) unclaimed(p *proxy, d *Decision) {
	if d.claimed {
		return
	}
	p.pending.claim(d)
	t.emit(Unclaimed{d})
}
