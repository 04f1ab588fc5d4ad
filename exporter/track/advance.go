package track

import (
	"strings"

	"smithproxy_exporter/exporter/event"
)

// Advance does what is due at the given time, and one step of a longer task. If it returns true there is more to do
// at once: the owner calls it again after it has handled waiting events.
func (t *Tracker) Advance(now Instant) (more bool) {
	more = t.wakeDue(now)
	if len(t.order) > 0 {
		// A few proxies at a time, because many items of each can expire.
		for range min(len(t.order), expireProxies) {
			t.expired = (t.expired + 1) % len(t.order)
			p := t.order[t.expired]
			grace := max(0, now.Mono-t.config.Connections.GracePeriod)
			if t.resumedAt <= grace {
				more = t.expireDecisions(p, grace) || more
			}
			more = t.expireNeighbors(p, now) || more
			p.decisions.forgetClosed(now.Mono - maxRequestDelay)
			t.checkPings(p, now)
			t.forgetSilent(p, now)
		}
	}
	more = t.enforceTotals(now) || more
	return t.work(now) || more
}

// expireProxies is how many proxies Advance checks at most.
const expireProxies = 32

// wakeDue wakes up to stepItems connections whose deadlines have passed, and reports whether there may be more.
func (t *Tracker) wakeDue(now Instant) (more bool) {
	for range stepItems {
		c, ok := t.deadlines.pop(now.Mono)
		if !ok {
			return false
		}
		t.wake(t.proxies[c.Source], c, now)
	}
	return true
}

// schedule appends a task. Advance runs tasks in steps.
func (t *Tracker) schedule(task task) { t.tasks = append(t.tasks, task) }

// work runs a step of the first task, and reports whether tasks remain.
func (t *Tracker) work(at Instant) (more bool) {
	if len(t.tasks) == 0 {
		return false
	}
	first := t.tasks[0]
	t.tasks[0] = nil
	t.tasks = t.tasks[1:]
	if first.step(t, at) {
		t.tasks = append(t.tasks, first) // round robin
	}
	return len(t.tasks) > 0
}

// walk visits up to stepItems connections of a proxy whose serial is above *serial, advances *serial, and reports
// whether there are more. visit may change any state.
func (t *Tracker) walk(p *proxy, serial *uint64, visit func(*Connection)) (more bool) {
	step := make([]*Connection, 0, stepItems)
	for c := range p.conns.after(*serial) {
		if len(step) == stepItems {
			more = true
			break
		}
		step = append(step, c)
	}
	for _, c := range step {
		*serial = c.serial
		if c.State != StateClosed {
			visit(c)
		}
	}
	return more
}

// enforceTotals evicts connections and neighbors while all proxies together exceed the limits. The proxy with the most
// loses its oldest, so that a flood evicts its own items first. The limits can be exceeded between calls of Advance.
func (t *Tracker) enforceTotals(now Instant) (more bool) {
	more = t.enforce(t.config.Connections.MaxOpenTotal, func(p *proxy) int { return p.conns.len() }, func(p *proxy) {
		if oldest, ok := p.conns.oldest(); ok {
			t.move(p, oldest, inEvict, now)
		}
	})
	return t.enforce(t.config.Proxies.MaxNeighborsTotal, func(p *proxy) int { return p.neighbors.byAge.Len() }, func(p *proxy) {
		p.neighbors.dropOldest()
		p.changed = true
		t.mark(p)
	}) || more
}

func (t *Tracker) enforce(most int, held func(*proxy) int, dropOldest func(*proxy)) (more bool) {
	excess := -most
	var largest *proxy
	for _, p := range t.order {
		excess += held(p)
		if largest == nil || held(p) > held(largest) {
			largest = p
		}
	}
	for range min(excess, stepItems) {
		dropOldest(largest)
	}
	return excess > stepItems
}

// Flush emits a ProxyStatus for each proxy whose status changed. The owner calls it after each batch.
func (t *Tracker) Flush() {
	for _, p := range t.marked {
		if p.changed && t.proxies[p.source] == p {
			p.changed = false
			t.emit(p.status())
		}
	}
}

// Resume tells the tracker that events could not be received for a while, until now, because the exporter did not run.
// Grace periods and ping timeouts start again, and every proxy is to be resynchronised.
func (t *Tracker) Resume(now Instant) {
	t.resumedAt = now.Mono
	for _, p := range t.order {
		p.resync.want()
	}
}

// Publish emits the restored state of all proxies after a start of the exporter, for sinks that hold gauges. It emits no
// fact that a sink counts.
func (t *Tracker) Publish() {
	for _, p := range t.order {
		t.emit(ProxyAppeared{Source: p.source})
		for e := p.neighbors.byAge.Front(); e != nil; e = e.Next() {
			n := e.Value.(*neighbor)
			t.emit(NeighborSeen{Source: p.source, Address: n.address, At: n.seen.Time(), Restored: true})
		}
		p.changed = true
		t.mark(p)
	}
	t.Flush()
}

// Adoptable is a connection that a ping lists and that the tracker has no record of.
type Adoptable struct {
	Source, ID string
	label      string
	p          *proxy
	at         Instant
	number     uint32 // of the list
}

// Adoptable returns up to limit connections that pings list and that the tracker has no record of. They started while
// the exporter did not receive events, or are finished already: the owner looks up their tombstones, and passes
// connections without a tombstone to Adopt.
func (t *Tracker) Adoptable(limit int) []Adoptable {
	n := min(limit, len(t.adopting))
	found := t.adopting[:n:n]
	if t.adopting = t.adopting[n:]; len(t.adopting) == 0 {
		t.adopting = nil
	}
	return found
}

// Adopt adds a connection that started while the exporter did not receive events.
func (t *Tracker) Adopt(a Adoptable) {
	p := a.p
	_, known := p.conns.latest[a.ID]
	_, over := t.pasts.get(a.Source, a.ID)
	if known || over || t.proxies[a.Source] != p || event.Instance(a.ID) != p.instance {
		return
	}
	c := t.record(p, strings.Clone(a.ID), 1, a.at) // the list's memory is shared
	c.first, c.alive, c.listed, c.list = a.at, a.at, true, a.number
	p.conns.relabel(c, func() { c.setLabel(strings.Clone(a.label), rankList, t.limits) })
	t.move(p, c, inListed, a.at)
	t.join(p, c, a.at)
	t.emit(Adopted{c})
}

// Busy reports whether there is work that does not depend on time.
func (t *Tracker) Busy() bool { return len(t.tasks) > 0 || len(t.adopting) > 0 }

// Drain finishes closing connections and pending decisions without waiting for their grace periods, for a process that
// ends without storing its state. Open connections stay open. Drain does one step, and reports whether there is more.
func (t *Tracker) Drain(now Instant) (more bool) {
	for _, p := range t.order {
		for c := range p.conns.after(0) {
			if c.State == StateClosing {
				t.move(p, c, inGraceOver, now)
				return true // the order changed
			}
		}
		if t.expireDecisions(p, never) {
			return true
		}
	}
	return false
}
