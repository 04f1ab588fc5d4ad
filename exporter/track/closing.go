package track

import "time"

// move applies an input to a connection: it changes the state as next says, and everything that depends on the state.
func (t *Tracker) move(p *proxy, c *Connection, in input, at Instant) {
	state, cause := next(c.State, c.Cause, in)
	if state == c.State && cause == c.Cause {
		return
	}
	wasOpen, wasState := c.State == StateOpen, c.State
	if c.Cause == CauseInfo && cause == CauseStop {
		p.shutdown.matched()
		p.dirty = true
	}
	c.State, c.Cause = state, cause
	t.touch(c)
	t.mark(p)
	if isOpen := state == StateOpen; isOpen != wasOpen {
		p.changed = true
		if isOpen {
			p.open++
		} else {
			p.open--
		}
	}
	switch state {
	case StateOpen:
		c.missed = 0
		t.deadlines.set(c, t.openDeadline(c))
	case StateClosing:
		from := at.Mono
		if cause == CauseAbsence && c.missed != 0 {
			from = c.missed // its last events were sent before the first list without it
		}
		c.until = from + t.config.Connections.GracePeriod
		t.deadlines.set(c, c.until)
		if cause == CauseStop || cause == CauseReject {
			t.emit(Ended{c})
		}
	case StateClosed:
		t.finish(p, c, wasState, at)
	}
}

// afterEvent finishes a closing connection if it is complete, and restarts its grace period otherwise.
func (t *Tracker) afterEvent(p *proxy, c *Connection, at Instant) {
	if c.State != StateClosing {
		return
	}
	if p.complete(c) {
		t.move(p, c, inComplete, at)
		return
	}
	c.until = at.Mono + t.config.Connections.GracePeriod
}

// complete reports whether no more events are expected for a closing connection.
func (p *proxy) complete(c *Connection) bool {
	// An echo without a decision: the access-request is still on its way, if this exporter answered it.
	decided := c.Decision != nil || c.Echo == nil
	switch c.Cause {
	case CauseStop:
		return decided && c.Started() && (c.Informed() || !p.expectsInfo())
	case CauseReject:
		// In transparent mode, where the request comes once, there is no start.
		return decided && (c.Started() || c.Decision != nil && c.Decision.expectedRequests() == 1)
	default:
		return false
	}
}

// wake handles a connection whose deadline has passed. The deadline may have been extended since it was set.
func (t *Tracker) wake(p *proxy, c *Connection, now Instant) {
	switch c.State {
	case StateClosing:
		until := c.until
		if until-t.config.Connections.GracePeriod < t.resumedAt {
			until = t.resumedAt + t.config.Connections.GracePeriod // no events were received for a part of it
		}
		if until > now.Mono {
			t.deadlines.set(c, until)
			return
		}
		if c.Cause == CauseStop && !c.Informed() && c.Stop.BytesUp+c.Stop.BytesDown > 0 && !p.sendsInfo {
			p.missedInfos, p.dirty = p.missedInfos+1, true
			t.mark(p)
		}
		if p.shutdown.silent(p.open) && p.shutdown.covers(c) {
			t.move(p, c, inShutdown, now)
		}
		t.move(p, c, inGraceOver, now)
	case StateOpen:
		t.reportAge(c, now)
		if t.config.Connections.IdleTimeout > 0 && t.idleAt(c) <= now.Mono {
			t.move(p, c, inIdle, now)
			return
		}
		t.deadlines.set(c, t.openDeadline(c))
	}
}

// never is a deadline that does not come.
const never = time.Duration(1<<63 - 1)

// openDeadline returns when an open connection has to be checked next.
func (t *Tracker) openDeadline(c *Connection) time.Duration {
	at := never
	if t.config.Connections.OpenSpanAge > 0 && c.ages < maxAges {
		at = c.first.Mono + t.config.Connections.OpenSpanAge<<c.ages
	}
	if t.config.Connections.IdleTimeout > 0 {
		at = min(at, t.idleAt(c))
	}
	return at
}

// idleAt returns when an open connection reaches the idle timeout.
func (t *Tracker) idleAt(c *Connection) time.Duration {
	return max(c.lastSign().Mono, t.resumedAt) + t.config.Connections.IdleTimeout
}

// maxAges keeps the doubled age, in ns, from an overflow: 20 doublings of 5 minutes are ten years.
const maxAges = 20

// closedRecord is a connection whose record is to be removed from the store.
type closedRecord struct{ source, key string }

// finish removes a connection from the tracker and writes its tombstone. From then on its record belongs to the sinks.
func (t *Tracker) finish(p *proxy, c *Connection, was State, at Instant) {
	if was == StateOpen || c.Cause != CauseStop && c.Cause != CauseReject {
		t.emit(Ended{c})
	}
	past := &Past{}
	before, ok := t.pasts.get(p.source, c.ID)
	if !ok {
		before, ok = p.conns.past[c.ID]
	}
	if ok {
		past.First, past.Ended = before.First, append(past.Ended, before.Ended...)
	}
	t.decideTrace(c, at.Time())
	got := c.got
	if c.Unsampled {
		got |= gotUnsampled
	}
	past.add(c.N, EndedConnection{Client: clientHash(c.Label), Got: got, Cause: c.Cause})
	t.putTombstone(p.source, c.ID, past, at)
	if c.Decision != nil {
		p.decisions.close(c.Decision, p.heardAt)
	}
	t.deadlines.remove(c)
	p.conns.remove(c)
	t.closed = append(t.closed, closedRecord{c.Source, recordKey(c)})
	c.p = nil
	t.emit(Finished{c})
}
