// Package track is the state machine of the exporter: events in, facts out. It has the state of each proxy, its
// connections, neighbors and access decisions.
//
// A Tracker has no clock, no goroutine and no lock, and does no I/O. Its owner passes the time in, and calls it
// from one goroutine. Each call does a bounded amount of work. Longer work is a task, which Advance does in steps.
package track

import (
	"bytes"
	"time"

	"github.com/tidwall/btree"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/privacy"
)

// Tracker turns events into facts, and records what changed for the store; see Changes. Its methods must not be called
// concurrently.
type Tracker struct {
	// Privacy is the policy that the events have passed. Restore applies it to records that another one has passed.
	// It is set before the first call; nil is the policy that keeps everything.
	Privacy *privacy.Policy
	// Sampled reports whether the trace of a connection is kept, as far as that is known at the given time. The answer for
	// an open connection can turn from false to true. It must not depend on anything else that changes. It is set before
	// the first call; nil keeps all traces.
	Sampled func(c *Connection, at time.Time) bool

	config  Config
	limits  limits
	emit    func(Fact)
	proxies map[string]*proxy
	// order has the same proxies in the order of appearance, so that facts have a stable order; bySource has them by
	// name, for Scan.
	order     []*proxy
	bySource  btree.Map[string, *proxy]
	deadlines deadlines
	tasks     []task // the first one runs next
	adopting  []Adoptable
	pasts     pasts
	serial    uint64 // of the newest connection

	// tracked is the number of proxies without those that are leaving, neverPinged the number of proxies that never
	// pinged. Before fullUntil no proxy can be replaced: see admission.go.
	tracked, neverPinged int
	fullUntil            time.Duration
	// resumedAt is the start of the current period in which events can be received.
	resumedAt time.Duration
	// expired is the index in order of the proxy that Advance checked last.
	expired int

	// What changed since the last call of Changes; marked are the proxies that may have changed.
	marked     []*proxy
	touched    []*Connection
	closed     []closedRecord
	tombstones []Tombstone
	gone       []string // forgotten proxies
	// encoded and stored are buffers for encoding a record.
	encoded bytes.Buffer
	stored  connectionState
}

// task is work that is done in steps. step does one of them, and reports whether there is more to do.
type task interface {
	step(t *Tracker, at Instant) (more bool)
}

// New returns a Tracker that passes its facts to emit.
func New(c Config, emit func(Fact)) *Tracker {
	return &Tracker{config: c, limits: c.Connections.limits(), emit: emit, proxies: map[string]*proxy{}, pasts: newPasts()}
}

// Apply applies one event that was received at the given time. past is the tombstone of the event's id; nil unless
// NeedsPast asked for it, and it exists. ask reports whether to answer the event with 202, which asks the proxy for its
// open connections. Access-requests are applied by Decide.
func (t *Tracker) Apply(ev event.Event, at Instant, past *Past) (ask bool) {
	p := t.admit(ev.Source, ev.Action, at)
	if p == nil {
		t.emit(Received{Source: ev.Source, Action: ev.Action, Outcome: Untracked})
		return false
	}
	outcome := Applied
	switch m := ev.Payload.(type) {
	case event.Ping:
		t.ping(p, m, at)
	case event.Neighbor:
		p.dirty = p.shutdown.alive() || p.dirty
		t.neighbor(p, m, at)
	case event.Content:
		t.emit(ContentSeen{Source: ev.Source, Side: m.Side, Bytes: m.Bytes})
	case event.Start, event.Stop, event.Info:
		if !t.connection(p, ev, at, past) {
			outcome = Repeated
		}
		ask = p.resync.ask(at.Mono)
	}
	t.emit(Received{Source: ev.Source, Action: ev.Action, Outcome: outcome})
	return ask
}

// mark makes Flush and Changes check the proxy.
func (t *Tracker) mark(p *proxy) {
	if !p.marked {
		p.marked = true
		t.marked = append(t.marked, p)
	}
}

// ping handles a ping and its list of open connections.
func (t *Tracker) ping(p *proxy, m event.Ping, at Instant) {
	t.seeInstance(p, m.Instance)
	p.dirty = p.shutdown.alive() || p.dirty
	if p.ping.last.IsZero() {
		t.neverPinged--
	}
	if p.ping.last.IsZero() || at.Mono > t.replaceableAt(p) {
		p.ping.since = at.Mono
	}
	p.ping.last = later(p.ping.last, at)
	p.ping.down, p.ping.known = false, true
	p.dirty, p.changed = true, true
	if m.Listed && m.Instance != "" && m.Instance == p.instance {
		if m.Full {
			p.resync.answered()
		}
		t.listed(p, m, at)
	}
}

// NeedsPast reports whether Apply and Decide need the tombstone of the id of an event with the session label, because
// the tracker has no record of its connection.
func (t *Tracker) NeedsPast(source, id, label string) bool {
	if id == "" {
		return false
	}
	if _, ok := t.pasts.get(source, id); ok {
		return false
	}
	p, ok := t.proxies[source]
	if !ok {
		return true
	}
	_, ok = p.conns.find(id, label)
	return !ok
}

// SessionOf returns the session label of an event, "" for none.
func SessionOf(ev event.Event) string { return sessionOf(ev.Payload) }

// connection handles start, stop and info, and reports whether the event had new content.
func (t *Tracker) connection(p *proxy, ev event.Event, at Instant, past *Past) (isNew bool) {
	t.seeInstance(p, event.Instance(ev.ID))
	_, isInfo := ev.Payload.(event.Info)
	switch {
	case !isInfo:
		p.dirty = p.shutdown.alive() || p.dirty
	case !p.sendsInfo:
		p.sendsInfo, p.dirty = true, true
	}
	label := sessionOf(ev.Payload)
	c, ok := p.conns.find(ev.ID, label)
	if !ok {
		if remembered, ok := t.pasts.get(p.source, ev.ID); ok {
			past = remembered
		}
		n := uint32(1)
		if past != nil {
			if i, found := past.match(label); found {
				return t.late(p, past, i, ev, at)
			}
			n = past.latest() + 1
		}
		if before, ok := p.conns.latest[ev.ID]; ok {
			n = max(n, before.N+1)
			t.move(p, before, inReplaced, at)
		}
		c = t.record(p, ev.ID, n, at)
		if past != nil {
			p.conns.past[ev.ID] = past
		}
	}
	wasOpen := c.State == StateOpen
	var added parts
	p.conns.relabel(c, func() { added = c.merge(ev.Payload, at, t.limits) })
	t.touch(c)
	t.move(p, c, inputOf(c, ev.Payload), at)
	if c.State == StateOpen && p.isRetired(c.Instance()) {
		t.move(p, c, inRestart, at) // first heard of after its proxy restarted
	}
	t.announce(c, added)
	if added&gotInfo != 0 && wasOpen && c.Cause == CauseInfo {
		p.shutdown.info(at.Mono)
		p.dirty = true
	}
	t.join(p, c, at)
	t.afterEvent(p, c, at)
	return added != 0
}

func inputOf(c *Connection, payload any) input {
	switch payload.(type) {
	case event.Start:
		return inAlive
	case event.Stop:
		return inStop
	default:
		if c.Echo != nil && c.Echo.Verdict == event.Reject {
			return inReject
		}
		return inInfo
	}
}

// record adds a connection. At MaxOpen it evicts the oldest one first.
func (t *Tracker) record(p *proxy, id string, n uint32, at Instant) *Connection {
	if p.conns.len() >= t.config.Connections.MaxOpen {
		if oldest, ok := p.conns.oldest(); ok {
			t.move(p, oldest, inEvict, at)
		}
	}
	t.serial++
	c := &Connection{Source: p.source, ID: id, N: n, serial: t.serial, p: p}
	p.lists.early.claim(c, at, t.config.Connections.GracePeriod)
	p.conns.add(c)
	return c
}

// announce emits facts about the new parts of a record.
func (t *Tracker) announce(c *Connection, added parts) {
	if added&gotStart != 0 {
		t.emit(Started{c})
	}
	if added&gotStop != 0 {
		t.emit(Stopped{c})
	}
	if added&(gotStatistics|gotSinkhole) != 0 {
		t.emit(Profiled{C: c, Statistics: added&gotStatistics != 0, Sink: added&gotSinkhole != 0})
	}
}

// late handles an event of a finished connection, which mostly is a repeat. New content is emitted in a record that has
// nothing else, so that nothing is counted twice.
func (t *Tracker) late(p *proxy, past *Past, i int, ev event.Event, at Instant) (isNew bool) {
	ended := past.Ended[i]
	c := &Connection{
		Source: p.source, ID: ev.ID, N: past.First + uint32(i), State: StateClosed, Cause: ended.Cause,
		Unsampled: ended.Got&gotUnsampled != 0,
	}
	added := c.merge(ev.Payload, at, t.limits) &^ ended.Got
	if added == 0 {
		return false
	}
	changed := &Past{First: past.First, Ended: append([]EndedConnection(nil), past.Ended...)}
	changed.Ended[i].Got |= added
	t.putTombstone(p.source, ev.ID, changed, at)
	t.announce(c, added)
	t.emit(Late{C: c, Action: ev.Action, At: at.Time()})
	return true
}

// putTombstone sets the tombstone of an id.
func (t *Tracker) putTombstone(source, id string, past *Past, at Instant) {
	t.pasts.put(source, id, past)
	t.tombstones = append(t.tombstones, Tombstone{source, id, past, at.Mono})
}
