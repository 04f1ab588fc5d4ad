package track

import (
	"slices"
	"time"

	"smithproxy_exporter/exporter/event"
)

func (t *Tracker) ping(p *proxy, m event.Ping, at time.Time) {
	t.seeInstance(p, m.Instance, at)
	if at.After(p.pingedAt) {
		p.pingedAt = at
	}
	p.silent = false
	t.emit(Pinged{Source: p.source, At: p.pingedAt})
	if m.Listed && m.Instance != "" && m.Instance == p.instance {
		t.compare(p, m, at)
		t.takeOver(p, m, at)
	}
}

// sameList is how close two lists must be to be one list that was delivered twice: a proxy repeats a
// ping at once when its answer was lost.
const sameList = time.Second

// compare holds a ping's list of what is open against what is believed to be open. A connection that
// two lists in a row lack is gone, and closed as lost, unless its own stop or info still comes within
// the linger, counted from the first of the two.
func (t *Tracker) compare(p *proxy, m event.Ping, at time.Time) {
	open := make(map[string]struct{}, len(m.Open))
	for _, id := range m.Open {
		open[id] = struct{}{}
	}
	for c := range p.conns.all() {
		if c.Reason != "" || !c.InfoAt.IsZero() || c.Instance != m.Instance {
			continue
		}
		if _, ok := open[c.ID]; ok {
			c.listed, c.missedAt, c.goneAt, c.dueAt = true, time.Time{}, time.Time{}, time.Time{}
			continue
		}
		switch {
		case !c.goneAt.IsZero() || !t.belongsInLists(c, at):
		case c.missedAt.IsZero():
			c.missedAt = at
		case at.Sub(c.missedAt) >= sameList:
			c.goneAt = at
			if at.Sub(c.missedAt) >= t.opts.Linger {
				t.conclude(p, c)
			} else {
				t.linger(c, at)
			}
		}
	}
}

// belongsInLists reports whether a list that was received at the given time would have to name c if
// it were open.
func (t *Tracker) belongsInLists(c *Connection, at time.Time) bool {
	grace := t.opts.PingGrace
	if !c.Session.Complete() {
		grace = t.opts.NegotiationGrace
	}
	return c.listed || at.Sub(c.firstAt) >= grace
}

// seeInstance notes the boot id that an event carries. A new one means that the proxy restarted, and
// that what belonged to the one before is over.
func (t *Tracker) seeInstance(p *proxy, instance string, at time.Time) {
	if instance == "" || instance == p.instance || p.isRetired(instance) {
		return
	}
	before := p.instance
	p.instance = instance
	t.emit(InstanceChanged{Source: p.source, Old: before, New: instance})
	if before == "" {
		return
	}
	p.retire(before)
	p.question.due = true
	// Its policies can be others now.
	p.sendsInfo, p.inVain = false, 0
	for c := range p.conns.all() {
		if c.Reason == "" && c.Instance == before && c.InfoAt.IsZero() && c.goneAt.IsZero() {
			c.restartedAt = at
			t.linger(c, at)
		}
	}
}

// checkSilence notices a proxy that no longer pings. One that never did has the time from its first
// word on, and any one that from when it could be heard.
func (t *Tracker) checkSilence(p *proxy, now time.Time) {
	since := p.pingedAt
	if since.IsZero() {
		since = p.appearedAt
	}
	if since.Before(t.resumedAt) {
		since = t.resumedAt
	}
	if !p.silent && now.Sub(since) > t.opts.PingTimeout {
		p.silent = true
		t.emit(ProxySilent{Source: p.source})
	}
}

// forget drops the proxies that said nothing for so long that they are not expected back, and what
// they left open.
func (t *Tracker) forget(now time.Time) {
	gone := func(p *proxy) bool { return now.Sub(p.heardAt) > t.opts.ForgetAfter }
	for _, p := range t.byAge {
		if !gone(p) {
			continue
		}
		for c := range p.conns.all() {
			t.evict(p, c)
		}
		delete(t.proxies, p.source)
		t.emit(ProxyForgotten{Source: p.source})
	}
	t.byAge = slices.DeleteFunc(t.byAge, gone)
}
