// Package track is the state machine of the exporter: events in, facts out. It holds what is known of
// each proxy, its connections, neighbors and access decisions.
//
// A Tracker is a pure value: it has no clock, no goroutine and no lock, and does no I/O. Whoever owns
// it passes the time in, and calls it from one goroutine. The same calls give the same facts, whether
// they come from the wire or from a journal.
package track

import (
	"time"

	"smithproxy_exporter/exporter/event"
)

// Tracker turns events into facts. Its methods must not be called at the same time.
type Tracker struct {
	opts    Options
	emit    func(Fact)
	proxies map[string]*proxy
	// byAge has the same proxies in the order in which they appeared, for facts in a stable order.
	byAge []*proxy
	// due holds the connections that wait out their linger, in the order in which it ends.
	due queue[deadline]
	// resumedAt is since when events could be received without a break, zero before the first Resume.
	resumedAt time.Time
	// looked is when the ages of open connections were looked at last.
	looked time.Time
}

type deadline struct {
	Source, ID string
	At         time.Time
}

// New returns a Tracker that hands its facts to emit.
func New(opts Options, emit func(Fact)) *Tracker {
	return &Tracker{opts: opts, emit: emit, proxies: map[string]*proxy{}}
}

// Apply moves the state by one event that was received at the given time, and reports whether the
// proxy shall be asked, by the answer to this event, for all that is open. Access-requests come by
// Decide.
func (t *Tracker) Apply(ev event.Event, at time.Time) (ask bool) {
	p := t.proxy(ev.Source, at)
	t.emit(Received{Source: ev.Source, Action: ev.Action})
	switch m := ev.Payload.(type) {
	case event.Ping:
		t.ping(p, m, at)
	case event.Neighbor:
		t.neighbor(p, m, at)
	case event.Content:
		t.emit(ContentSeen{Source: ev.Source, Side: m.Side, Bytes: m.Bytes})
	case event.Start, event.Stop, event.Info:
		t.connection(p, ev, at)
		return p.question.ask(at)
	}
	return false
}

// Advance lets the time that has passed have its effect.
func (t *Tracker) Advance(now time.Time) {
	for {
		next, ok := t.due.peek()
		if !ok || next.At.After(now) {
			break
		}
		t.due.pop()
		t.expire(next)
	}
	for _, p := range t.byAge {
		t.expireDecisions(p, now)
		p.pending.unsettle(now.Add(-overtakenBy))
		t.expireNeighbors(p, now)
		p.finished.expire(now.Add(-tombstoneLingers * t.opts.Linger))
		t.checkSilence(p, now)
	}
	t.showOpen(now)
	t.forget(now)
}

// Close finishes what is already over and only waits for what might still come, as at the end of the
// process. Open connections are left as they are.
func (t *Tracker) Close() {
	for _, p := range t.byAge {
		for c := range p.conns.all() {
			t.conclude(p, c)
		}
		for {
			d, ok := p.pending.queue.peek()
			if !ok {
				break
			}
			p.pending.queue.pop()
			t.unclaimed(p, d)
		}
	}
}

// Connections calls visit with every connection that is not finished, oldest first for each proxy,
// until it returns false. The records are the tracker's own: not to be changed or kept.
func (t *Tracker) Connections(visit func(*Connection) bool) {
	for _, p := range t.byAge {
		for c := range p.conns.all() {
			if !visit(c) {
				return
			}
		}
	}
}

// Connection returns one connection that is not finished.
func (t *Tracker) Connection(source, id string) (*Connection, bool) {
	p, ok := t.proxies[source]
	if !ok {
		return nil, false
	}
	return p.conns.get(id)
}

func (t *Tracker) proxy(source string, at time.Time) *proxy {
	p, ok := t.proxies[source]
	if !ok {
		p = newProxy(source, at)
		t.proxies[source] = p
		t.byAge = append(t.byAge, p)
		t.emit(ProxyAppeared{Source: source})
	}
	if at.After(p.heardAt) {
		p.heardAt = at
	}
	return p
}

// connection handles start, stop and info.
func (t *Tracker) connection(p *proxy, ev event.Event, at time.Time) {
	instance := event.Instance(ev.ID)
	t.seeInstance(p, instance, at)
	if _, ok := ev.Payload.(event.Info); ok {
		p.sendsInfo = true
	}
	if stone, ok := p.finished.byID[ev.ID]; ok {
		t.late(p, stone, ev, at)
		return
	}
	c := t.record(p, ev.ID, instance)
	var added news
	p.conns.relabel(c, func() { added = c.merge(ev.Payload, at, t.opts.Limits) })
	if added == 0 {
		t.emit(Duplicate{Source: p.source, Action: ev.Action})
	}
	t.claimDecision(p, c)
	t.announce(p, c, added)
	t.settle(p, c, at)
}

func (t *Tracker) record(p *proxy, id, instance string) *Connection {
	if c, ok := p.conns.get(id); ok {
		return c
	}
	if p.conns.len() >= t.opts.MaxConnections {
		t.evict(p, p.conns.first)
	}
	c := &Connection{Source: p.source, ID: id, Instance: instance}
	p.conns.put(c)
	return c
}

func (t *Tracker) announce(p *proxy, c *Connection, added news) {
	if added&newStart != 0 {
		t.activate(p, c)
		t.emit(Opened{c})
	}
	if added&newStop != 0 {
		t.emit(Stopped{c})
	}
	if added&newStatistics != 0 {
		t.emit(Profiled{c})
	}
}

// late handles an event of a connection that is finished: mostly a repeat. What is new is announced
// by a record of its own that holds nothing else, so that what was counted is not counted again.
func (t *Tracker) late(p *proxy, stone tombstone, ev event.Event, at time.Time) {
	c := &Connection{Source: p.source, ID: ev.ID, Instance: event.Instance(ev.ID), Reason: stone.reason}
	added := c.merge(ev.Payload, at, t.opts.Limits) &^ stone.seen
	if added == 0 {
		t.emit(Duplicate{Source: p.source, Action: ev.Action})
		return
	}
	stone.seen |= added
	p.finished.byID[ev.ID] = stone
	t.announce(p, c, added)
	t.emit(Late{C: c, Action: ev.Action, At: at})
}
