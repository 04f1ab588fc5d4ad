package track

import "time"

// settle closes a connection whose end is known, finishes it when nothing more can come, and else
// lets it linger.
func (t *Tracker) settle(p *proxy, c *Connection, at time.Time) {
	switch {
	case c.Reason != "":
	case !c.StoppedAt.IsZero():
		t.close(p, c, ReasonStop)
	case c.rejected():
		t.close(p, c, ReasonRejected)
	case c.InfoAt.IsZero() && c.restartedAt.IsZero() && p.isRetired(c.Instance):
		// First heard of after its proxy was gone already.
		c.restartedAt = at
	}
	switch {
	case c.Reason != "" && t.complete(p, c):
		t.finish(p, c)
	case c.Reason != "" || !c.InfoAt.IsZero() || !c.restartedAt.IsZero():
		t.linger(c, at)
	}
}

// complete reports whether everything that can still come for a closed connection has come.
func (t *Tracker) complete(p *proxy, c *Connection) bool {
	// An echo means that the proxy asked, and that the decision is on its way if it was made here.
	decided := c.Decision != nil || c.Echo == nil
	switch c.Reason {
	case ReasonStop:
		return decided && !c.StartedAt.IsZero() && (!c.InfoAt.IsZero() || !p.expectsInfo())
	case ReasonRejected:
		// In transparent mode, where the request comes once, there is no start.
		return decided && (!c.StartedAt.IsZero() || c.Decision.expectedRequests() == 1)
	default:
		return true
	}
}

// linger lets a connection wait once more for what can still come, from now.
func (t *Tracker) linger(c *Connection, now time.Time) {
	c.dueAt = now.Add(t.opts.Linger)
	t.due.push(deadline{c.Source, c.ID, c.dueAt})
}

// expire ends a connection's linger, unless it has a later one or is finished.
func (t *Tracker) expire(d deadline) {
	p, ok := t.proxies[d.Source]
	if !ok {
		return
	}
	c, ok := p.conns.get(d.ID)
	if !ok || !c.dueAt.Equal(d.At) {
		return
	}
	if c.Reason == ReasonStop && c.InfoAt.IsZero() && c.Stop.BytesUp+c.Stop.BytesDown > 0 {
		p.inVain++
	}
	t.conclude(p, c)
}

// conclude finishes a connection that is over, with what is known. One that is open stays.
func (t *Tracker) conclude(p *proxy, c *Connection) {
	if c.Reason == "" {
		switch {
		case !c.InfoAt.IsZero(), !c.goneAt.IsZero():
			t.close(p, c, ReasonLost)
		case !c.restartedAt.IsZero():
			t.close(p, c, ReasonRestart)
		default:
			return
		}
	}
	t.finish(p, c)
}

// evict makes room: the connection is given up as lost if it was open.
func (t *Tracker) evict(p *proxy, c *Connection) {
	if c.Reason == "" && c.InfoAt.IsZero() && c.goneAt.IsZero() {
		c.goneAt = p.heardAt
	}
	t.conclude(p, c)
}

func (t *Tracker) close(p *proxy, c *Connection, reason Reason) {
	c.Reason = reason
	if c.active {
		c.active = false
		p.active--
		t.emit(ConnectionsActive{Source: p.source, Count: p.active})
	}
	t.emit(Closed{c})
}

// activate counts a connection that is known to have begun, if it is not over.
func (t *Tracker) activate(p *proxy, c *Connection) {
	if c.active || c.Reason != "" {
		return
	}
	c.active = true
	p.active++
	t.emit(ConnectionsActive{Source: p.source, Count: p.active})
}

func (t *Tracker) finish(p *proxy, c *Connection) {
	p.conns.remove(c)
	p.finished.add(c.ID, tombstone{seen: c.seen(), reason: c.Reason}, p.heardAt)
	if c.Decision != nil {
		p.pending.settle(c.Decision, p.heardAt)
	}
	t.emit(Finished{c})
}

// seen is what the record already holds.
func (c *Connection) seen() news {
	var s news
	if !c.StartedAt.IsZero() {
		s |= newStart
	}
	if c.Stop != nil {
		s |= newStop
	}
	if !c.InfoAt.IsZero() {
		s |= newInfo
	}
	if c.Statistics != nil {
		s |= newStatistics
	}
	if c.Echo != nil {
		s |= newEcho
	}
	return s
}
