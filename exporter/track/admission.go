package track

import (
	"errors"
	"slices"
	"time"

	"smithproxy_exporter/exporter/event"
)

// admit returns the proxy with the source, and adds it if it is new. It returns nil if there is no room: a client with
// a secret can send events of any number of invented sources.
//
// At ProxyConfig.Max, a known proxy is kept as long as it pings, and after its last ping for as long again as it had
// pinged, so that invented sources do not displace a proxy that is down. After that a new proxy replaces it, so that
// invented sources do not keep a real proxy out forever. A proxy that never pinged is kept for the ping timeout, and a
// proxy that pings replaces it at once.
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
		p.leaving, p.asked = false, false
		t.tracked++
	}
	if at.Mono > p.heardAt {
		p.heardAt = at.Mono
	}
	t.mark(p)
	return p
}

// add tracks a new proxy.
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

// makeRoom forgets the proxy that has been replaceable for longest, and reports whether there was one.
func (t *Tracker) makeRoom(action event.Action, at time.Duration) bool {
	pings := action == event.ActionPing
	// No proxy is replaceable before fullUntil. Without this check a flood would search all proxies at every event.
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

// replaceableAt returns the time from which a new proxy may replace p.
func (t *Tracker) replaceableAt(p *proxy) time.Duration {
	if p.ping.last.IsZero() {
		return p.appearedAt + t.config.Proxies.PingTimeout
	}
	return p.ping.last.Mono + max(t.config.Proxies.PingTimeout, p.ping.last.Mono-p.ping.since)
}

// forgetSilent forgets a proxy that has sent nothing for ProxyConfig.ForgetAfter.
func (t *Tracker) forgetSilent(p *proxy, now Instant) {
	if !p.leaving && now.Mono-max(p.heardAt, t.resumedAt) > t.config.Proxies.ForgetAfter {
		t.leave(p)
	}
}

var (
	// ErrUnknownProxy is returned for a source that is not tracked.
	ErrUnknownProxy = errors.New("no such proxy")
	// ErrProxySpoke is returned if a proxy was to be forgotten, and sent an event meanwhile.
	ErrProxySpoke = errors.New("the proxy sends events")
)

// Forget begins to forget a proxy because an operator asks for it. Forgotten reports when that is done.
func (t *Tracker) Forget(source string) error {
	p, ok := t.proxies[source]
	if !ok {
		return ErrUnknownProxy
	}
	p.asked = true
	if !p.leaving {
		t.leave(p)
	}
	return nil
}

// Forgotten reports whether a proxy of Forget is gone. It returns ErrProxySpoke if the proxy is kept, because it has sent
// an event since.
func (t *Tracker) Forgotten(source string) (done bool, err error) {
	p, ok := t.proxies[source]
	switch {
	case !ok:
		return true, nil
	case !p.asked:
		return true, ErrProxySpoke
	default:
		return false, nil
	}
}

// leave forgets a proxy after its connections have been closed in steps. A proxy that sends an event meanwhile is kept.
func (t *Tracker) leave(p *proxy) {
	p.leaving = true
	t.tracked--
	t.schedule(&leaveTask{p: p})
}

// leaveTask closes the connections of a proxy that is to be forgotten.
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
	t.emit(ProxyForgotten{Source: p.source, Asked: p.asked})
	return false
}
