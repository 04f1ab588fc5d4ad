// Package activity keeps what the page shows beside connections: rates of the last 15 minutes of each proxy, the clients,
// servers, SNIs and applications with the most traffic, and the latest access decisions. Its memory is bounded, and a fact
// costs it well below a microsecond.
package activity

import (
	"slices"
	"strings"
	"sync"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// Activity is a sink. Take is called from one goroutine, the other methods from any: they hold the lock only to copy.
type Activity struct {
	now func() time.Time

	mu        sync.Mutex
	began     time.Time
	proxies   map[string]*proxy
	total     ring
	open      int
	tops      [dimensions]top
	decisions decisions
	refusals  refusals
}

// proxy is the activity of one proxy.
type proxy struct {
	ring       ring
	status     track.ProxyStatus
	heardAt    time.Time
	generation string
}

// New returns an Activity with a clock.
func New(now func() time.Time) *Activity {
	a := &Activity{now: now, began: now(), proxies: map[string]*proxy{}}
	a.decisions.rules = map[string]*RuleHits{}
	for i := range a.tops {
		a.tops[i] = newTop(a.began, Dimension(i))
	}
	return a
}

// Take counts a fact.
func (a *Activity) Take(f track.Fact) {
	switch f := f.(type) {
	case track.Received:
		if f.Outcome != track.Untracked {
			a.received(f.Source)
		}
	case track.Started:
		a.appeared(f.C)
	case track.Adopted:
		a.appeared(f.C)
	case track.Stopped:
		a.stopped(f.C)
	case track.Decided:
		if !f.Repeat {
			a.decided(f.D)
		}
	case track.ProxyStatus:
		a.status(f)
	case track.ProxyForgotten:
		a.forget(f.Source)
	}
}

// proxy returns the proxy with the name. The lock is held. The tracker bounds the number of proxies.
func (a *Activity) proxy(source string) *proxy {
	p, ok := a.proxies[source]
	if !ok {
		p = &proxy{status: track.ProxyStatus{Source: source, Unknown: true}}
		a.proxies[source] = p
	}
	return p
}

func (a *Activity) received(source string) {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.proxy(source).heardAt = now
}

func (a *Activity) appeared(c *track.Connection) {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.proxy(c.Source)
	if g := generation(c.ID); g != "" {
		p.generation = g
	}
	p.ring.at(now).connections++
	a.total.at(now).connections++
}

func (a *Activity) stopped(c *track.Connection) {
	if c.Stop == nil {
		return
	}
	now, session := a.now(), c.Session()
	bytes := c.Stop.BytesUp + c.Stop.BytesDown
	a.mu.Lock()
	defer a.mu.Unlock()
	a.proxy(c.Source).ring.at(now).bytes += bytes
	a.total.at(now).bytes += bytes
	for d, value := range [dimensions]string{Clients: session.Client.Host, Servers: session.Server.Host, SNIs: c.Stop.SNI, Apps: c.Stop.App} {
		a.tops[d].add(value, c.Stop.BytesUp, c.Stop.BytesDown, now)
	}
}

func (a *Activity) decided(d *track.Decision) {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.decisions.add(d)
	if d.Verdict == event.Reject {
		a.proxy(d.Source).ring.at(now).rejects++
		a.total.at(now).rejects++
	}
}

func (a *Activity) status(f track.ProxyStatus) {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	p := a.proxy(f.Source)
	a.open += f.Open - p.status.Open
	p.status = f
	p.ring.at(now).open = f.Open
	a.total.at(now).open = a.open
}

func (a *Activity) forget(source string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p, ok := a.proxies[source]; ok {
		a.open -= p.status.Open
		delete(a.proxies, source)
	}
}

// generation returns the generation of smithproxy that makes ids like the given one, see Terms in docs/design.md; "" if
// the id does not tell.
func generation(id string) string {
	instance := event.Instance(id)
	if instance == "" {
		return ""
	}
	kind, _, _ := strings.Cut(id[len(instance)+1:], "-")
	return map[string]string{"OID": "2025", "PTR": "ptr", "SID": "2026"}[kind]
}

// Proxy is the activity of one proxy.
type Proxy struct {
	Status track.ProxyStatus
	// HeardAt is when its last event was received since the exporter started; zero without one.
	HeardAt    time.Time
	Generation string
	Rates      Rates
}

// Proxies returns the activity of each proxy, by name.
func (a *Activity) Proxies() []Proxy {
	now := a.now()
	a.mu.Lock()
	sources := make([]string, 0, len(a.proxies))
	for source := range a.proxies {
		sources = append(sources, source)
	}
	a.mu.Unlock()
	slices.Sort(sources)
	all := make([]Proxy, 0, len(sources))
	for _, source := range sources {
		if p, ok := a.one(source, now); ok {
			all = append(all, p)
		}
	}
	return all
}

// one copies a proxy, one at a time, so that the lock is held shortly.
func (a *Activity) one(source string, now time.Time) (Proxy, bool) {
	a.mu.Lock()
	p, ok := a.proxies[source]
	if !ok {
		a.mu.Unlock()
		return Proxy{}, false
	}
	p.ring.at(now)
	copied, found := p.ring, Proxy{Status: p.status, HeardAt: p.heardAt, Generation: p.generation}
	a.mu.Unlock()
	found.Rates = copied.rates(now, a.began)
	return found, true
}

// Total returns the rates of all proxies together.
func (a *Activity) Total() Rates {
	now := a.now()
	a.mu.Lock()
	a.total.at(now)
	copied := a.total
	a.mu.Unlock()
	return copied.rates(now, a.began)
}
