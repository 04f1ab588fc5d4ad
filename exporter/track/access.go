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
		if earlier.Requests <= earlier.expectedRequests() {
			p.pending.repeat(earlier, d.ID)
			return
		}
		t.emit(Duplicate{Source: d.Source, Action: event.ActionAccess})
		if event.Instance(d.ConnectionID) == "" {
			// It may as well be about another connection from the client's port: that one will tell, by
			// its start or by its echo.
			d.Doubtful = true
			p.pending.add(&d)
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
	if o := p.pending.find(d.Label, d.Session); o != nil && !o.Doubtful {
		return o
	}
	for c := range p.conns.ofClient(key) {
		if c.Decision != nil && d.canRepeat(c.Decision) && c.canHaveAsked(d) {
			return c.Decision
		}
	}
	p.pending.unsettle(d.Received.Add(-overtakenBy))
	if o := p.pending.settled[key]; o != nil && d.canRepeat(o) {
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
		if c.Decision == nil && c.canHaveAsked(d) && d.isAbout(c.Label, c.Session) && !c.echoesOther(d) {
			return c
		}
	}
	return nil
}

// echoesOther reports whether the proxy said that another decision was about the connection.
func (c *Connection) echoesOther(d *Decision) bool {
	return c.Echo != nil && c.Echo.Decision != "" && !d.carries(c.Echo.Decision)
}

// overtakenBy is by how much an access-request can seem to come after the end of its own connection.
// Beyond it the client's port serves another connection.
const overtakenBy = 2 * time.Second

func (c *Connection) canHaveAsked(d *Decision) bool {
	return c.StoppedAt.IsZero() || d.Received.Before(c.StoppedAt.Add(overtakenBy))
}

// claimDecision joins a connection with the decision about it: the one that its proxy echoes or, while there
// is no echo, one about a connection with its label. An echo sets right what the label got wrong.
func (t *Tracker) claimDecision(p *proxy, c *Connection) {
	if c.Label == "" {
		return
	}
	echoed := ""
	if c.Echo != nil {
		echoed = c.Echo.Decision
	}
	if c.Decision != nil && c.echoesOther(c.Decision) {
		p.release(c)
	}
	if c.Decision == nil {
		t.claim(p, c, echoed)
	}
	if c.Decision != nil && echoed != "" {
		c.Decision.EchoedAt = c.InfoAt
	}
}

func (t *Tracker) claim(p *proxy, c *Connection, echoed string) {
	d := p.pending.find(c.Label, c.Session)
	if echoed == "" {
		if d != nil && c.canHaveAsked(d) {
			t.attach(p, c, d)
		}
		return
	}
	// What repeats d has the id too, and comes after it.
	if d == nil || d.Doubtful || !d.carries(echoed) {
		d = p.pending.byID[echoed]
	}
	if d != nil {
		t.attach(p, c, d)
		return
	}
	// A connection of the same client can have it for its label.
	if other := p.decidedBy(c, echoed); other != nil {
		d = other.Decision
		p.release(other)
		t.attach(p, c, d)
		t.claimDecision(p, other)
	}
}

// release lets another connection have the decision of c.
func (p *proxy) release(c *Connection) {
	d := c.Decision
	c.Decision = nil
	d.claimed, d.EchoedAt = false, time.Time{}
	p.pending.add(d)
}

// decidedBy returns the connection from c's client that has the decision with the id, and no word of the proxy
// for it; nil for none.
func (p *proxy) decidedBy(c *Connection, id string) *Connection {
	for o := range p.conns.ofClient(clientOf(c.Label, c.Session)) {
		if o != c && o.Decision != nil && o.Decision.carries(id) && o.Echo == nil {
			return o
		}
	}
	return nil
}

func (t *Tracker) attach(p *proxy, c *Connection, d *Decision) {
	p.pending.claim(d)
	c.Decision = d
	if d.Doubtful {
		d.Doubtful = false
		t.emit(Recounted{d})
	}
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
	d.queued = false
	if d.claimed {
		return
	}
	p.pending.claim(d)
	if !d.Doubtful {
		t.emit(Unclaimed{d})
	}
}
