package track

import "smithproxy_exporter/exporter/event"

// Advance lets the time that has passed have its effect, and does a step of what takes longer. It returns
// whether there is more to do at once: the owner calls it again then, after what else waits.
func (t *Tracker) Advance(now Instant) (more bool) {
	more = t.wakeDue(now)
	if len(t.order) > 0 {
		// A few proxies at a time: what expires of each can be much.
		for range min(len(t.order), expireProxies) {
			t.expired = (t.expired + 1) % len(t.order)
			p := t.order[t.expired]
			grace := max(0, now.Mono-t.config.Connections.GracePeriod)
			if t.resumedAt <= grace {
				more = t.expireDecisions(p, grace) || more
			}
			more = t.expireNeighbors(p, now) || more
			p.decisions.forgetClosed(now.Mono - overtakenBy)
			t.checkPings(p, now)
			t.forgetSilent(p, now)
		}
	}
	more = t.enforceTotals(now) || more
	return t.work(now) || more
}

// expireProxies is how many proxies Advance looks at.
const expireProxies = 32

// wakeDue wakes connections whose deadlines have come.
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

// later has a task done in steps.
func (t *Tracker) later(task task) { t.tasks = append(t.tasks, task) }

// work does a step of the first task.
func (t *Tracker) work(at Instant) (more bool) {
	if len(t.tasks) == 0 {
		return false
	}
	first := t.tasks[0]
	t.tasks[0] = nil
	t.tasks = t.tasks[1:]
	if first.step(t, at) {
		t.tasks = append(t.tasks, first) // the others have their turn
	}
	return len(t.tasks) > 0
}

// walk visits the connections of a proxy after a serial, some at a time, and reports whether there are more. A
// visit may change anything.
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

// enforceTotals keeps what all proxies hold together within its bounds: the proxy with the most gives up its
// oldest, so that one that invents sources, or floods one, takes from itself. Between two calls of Advance the
// bounds can be exceeded.
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

// Flush reports the status of the proxies of which it changed. The owner calls it after each batch.
func (t *Tracker) Flush() {
	for _, p := range t.marked {
		if p.changed && t.proxies[p.source] == p {
			p.changed = false
			t.emit(p.status())
		}
	}
}

// Resume tells the tracker that nothing could be received for a while, until now: the exporter was not running,
// or was stopped. What can still come has its whole grace period again, a proxy is not down for not having been
// heard, and every proxy is to be asked for what is open.
func (t *Tracker) Resume(now Instant) {
	t.resumedAt = now.Mono
	for _, p := range t.order {
		p.resync.want()
	}
}

// Publish tells sinks that have not seen how it came to be what is known of each proxy, as after a start of the
// exporter. It moves gauges, and no counter.
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

// Adoptable is a connection that a list has and of which nothing is known.
type Adoptable struct {
	Source, ID string
	label      string
	p          *proxy
	at         Instant
	number     uint32 // of the list
}

// Adoptable returns up to so many connections that lists have and of which nothing is known: they began while
// nobody received, if they are not finished. The owner looks up their tombstones, and passes those that have none
// to Adopt.
func (t *Tracker) Adoptable(limit int) []Adoptable {
	n := min(limit, len(t.adopting))
	found := t.adopting[:n:n]
	if t.adopting = t.adopting[n:]; len(t.adopting) == 0 {
		t.adopting = nil
	}
	return found
}

// Adopt makes the record of a connection that began while nobody received.
func (t *Tracker) Adopt(a Adoptable) {
	p := a.p
	_, known := p.conns.latest[a.ID]
	_, over := t.pasts.get(a.Source, a.ID)
	if known || over || t.proxies[a.Source] != p || event.Instance(a.ID) != p.instance {
		return
	}
	c := t.record(p, a.ID, 1, a.at)
	c.first, c.alive, c.listed, c.list = a.at, a.at, true, a.number
	p.conns.relabel(c, func() { c.setLabel(a.label, rankList, t.limits) })
	t.move(p, c, inListed, a.at)
	t.join(p, c, a.at)
	t.emit(Adopted{c})
}

// Busy reports whether there is work that does not wait for time to pass.
func (t *Tracker) Busy() bool { return len(t.tasks) > 0 || len(t.adopting) > 0 }

// Drain finishes connections that are over, and decisions that no connection claimed, without their grace period:
// as at the end of a process that cannot store its state. Open connections are left as they are. It does a step,
// and reports whether there is more.
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
