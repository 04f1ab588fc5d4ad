package track

import (
	"slices"
	"time"

	"smithproxy_exporter/exporter/event"
)

// admit returns the proxy that an event is of, and nil for one that there is no room for: anyone who knows a
// secret can invent sources.
//
// When there are MaxProxies, a proxy that is there stays for as long as it pings, and after that for as long
// again as it pinged: one that is down must not be forgotten because somebody invents others. After that it
// is replaced by a newcomer, so that inventions do not shut out a real proxy forever. One that never pinged
// has the time in which a ping must come, and is replaced at once by one that pings.
func (t *Tracker) admit(source string, action event.Action, at Instant) *proxy {
	p, ok := t.proxies[source]
	if !ok {
		if t.tracked >= t.config.Proxies.Max && !t.makeRoom(action, at.Mono) {
			return nil
		}
		p = newProxy(source, at.Mono)
		t.add(p)
	}
	if p.leaving {
		p.leaving = false
		t.tracked++
	}
	if at.Mono > p.heardAt {
		p.heardAt = at.Mono
	}
	t.mark(p)
	return p
}

// add begins to track a proxy.
func (t *Tracker) add(p *proxy) {
	t.proxies[p.source] = p
	t.bySource.Set(p.source, p)
	t.order = append(t.order, p)
	t.tracked++
	if p.ping.last.IsZero() {
		t.neverPinged++
	}
	t.fullUntil = min(t.fullUntil, t.replaceableAt(p))
	t.emit(ProxyAppeared{Source: p.source})
}

// makeRoom lets go of the proxy that has been replaceable for longest.
func (t *Tracker) makeRoom(action event.Action, at time.Duration) bool {
	pings := action == event.ActionPing
	// None is replaceable before that: a flood must not search all proxies at every event.
	if at < t.fullUntil && !(pings && t.neverPinged > 0) {
		return false
	}
	var first *proxy
	var firstAt time.Duration
	next := time.Duration(-1)
	for _, p := range t.order {
		if p.leaving {
			continue
		}
		due := t.replaceableAt(p)
		if next < 0 || due < next {
			next = due
		}
		if due > at && !(pings && p.ping.last.IsZero()) {
			continue
		}
		if first == nil || due < firstAt {
			first, firstAt = p, due
		}
	}
	t.fullUntil = max(next, 0)
	if first == nil {
		return false
	}
	t.leave(first)
	return true
}

// replaceableAt is until when a proxy is kept when there are too many.
func (t *Tracker) replaceableAt(p *proxy) time.Duration {
	if p.ping.last.IsZero() {
		return p.appearedAt + t.config.Proxies.PingTimeout
	}
	return p.ping.last.Mono + max(t.config.Proxies.PingTimeout, p.ping.last.Mono-p.ping.since)
}

// forgetSilent lets go of the proxies that said nothing for so long that they are not expected back.
func (t *Tracker) forgetSilent(p *proxy, now Instant) {
	if !p.leaving && now.Mono-max(p.heardAt, t.resumedAt) > t.config.Proxies.ForgetAfter {
		t.leave(p)
	}
}

// leave forgets a proxy, after what it left open has been closed in steps. A proxy that sends something
// meanwhile stays.
func (t *Tracker) leave(p *proxy) {
	p.leaving = true
	t.tracked--
	t.later(&leaveTask{p: p})
}

type leaveTask struct{ p *proxy }

func (l *leaveTask) step(t *Tracker, at Instant) (more bool) {
	p := l.p
	if !p.leaving || t.proxies[p.source] != p {
		return false
	}
	serial := uint64(0)
	t.walk(p, &serial, func(c *Connection) { t.move(p, c, inEvict, at) })
	if p.conns.len() > 0 || t.expireDecisions(p, at.Mono) {
		return true
	}
	delete(t.proxies, p.source)
	t.bySource.Delete(p.source)
	t.order = slices.DeleteFunc(t.order, func(o *proxy) bool { return o == p })
	if p.ping.last.IsZero() {
		t.neverPinged--
	}
	t.gone = append(t.gone, p.source)
	t.emit(ProxyForgotten{Source: p.source})
	return false
}
