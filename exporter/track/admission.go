package track

import (
	"slices"
	"time"

	"smithproxy_exporter/exporter/event"
)

// admit returns the proxy that an event is of, and nil for one that there is no room for: whoever knows
// a secret can invent sources.
//
// When there are MaxProxies, a proxy that is there stays for as long as it pings, and after that for as
// long again as it pinged, whatever comes: one that is down must not be forgotten because somebody makes
// up others. Beyond that it gives way, so that what was made up does not shut out a real one for ever.
// One that never pinged has the time in which a ping must come, and gives way at once to one that does.
func (t *Tracker) admit(source string, action event.Action, at time.Time) *proxy {
	p, ok := t.proxies[source]
	if !ok {
		if len(t.proxies) >= t.opts.MaxProxies && !t.makeRoom(action, at) {
			t.emit(Untracked{Source: source, Action: action})
			return nil
		}
		p = newProxy(source, at)
		t.proxies[source] = p
		t.byAge = append(t.byAge, p)
		t.strangers++
		if due := p.givesWayAt(t.opts.PingTimeout); due.Before(t.fullUntil) {
			t.fullUntil = due
		}
		t.emit(ProxyAppeared{Source: source})
	}
	if at.After(p.heardAt) {
		p.heardAt = at
	}
	return p
}

// makeRoom has the proxy that should have given way longest ago do so.
func (t *Tracker) makeRoom(action event.Action, at time.Time) bool {
	pings := action == event.ActionPing
	// Nobody gives way before that: a flood must not search all proxies at every event.
	if at.Before(t.fullUntil) && !(pings && t.strangers > 0) {
		return false
	}
	var first *proxy
	var firstAt, next time.Time
	for _, p := range t.byAge {
		due := p.givesWayAt(t.opts.PingTimeout)
		if next.IsZero() || due.Before(next) {
			next = due
		}
		if due.After(at) && !(pings && p.pingedAt.IsZero()) {
			continue
		}
		if first == nil || due.Before(firstAt) {
			first, firstAt = p, due
		}
	}
	t.fullUntil = next
	if first == nil {
		return false
	}
	t.byAge = slices.DeleteFunc(t.byAge, func(p *proxy) bool { return p == first })
	t.drop(first)
	return true
}

// givesWayAt is until when a proxy is kept when there are too many.
func (p *proxy) givesWayAt(timeout time.Duration) time.Time {
	if p.pingedAt.IsZero() {
		return p.appearedAt.Add(timeout)
	}
	return p.pingedAt.Add(max(timeout, p.pingedAt.Sub(p.firstPingAt)))
}

// drop forgets a proxy, and gives up what it left open.
func (t *Tracker) drop(p *proxy) {
	for c := range p.conns.all() {
		t.evict(p, c)
	}
	if p.pingedAt.IsZero() {
		t.strangers--
	}
	delete(t.proxies, p.source)
	t.emit(ProxyForgotten{Source: p.source})
}
