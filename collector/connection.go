package collector

import (
	"slices"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// Directions of payload: up is what the client sent.
const (
	up   = "up"
	down = "down"
)

var upLabel, downLabel = pair("direction", up), pair("direction", down)

// connections counts connections, each once, and their bytes.
type connections struct {
	started, adopted, closed, bytes *metric
	bounds                          *bounds
	limit, transportLimit           *limit
}

func newConnections(d *definitions, b *bounds) *connections {
	f := &connections{
		started: d.counter("smithproxy_connections_started_total", "connections",
			"Total number of connections whose start was received.", "source", "transport"),
		adopted: d.counter("smithproxy_connections_adopted_total", "connections",
			"Total number of connections that a ping listed as open before any event of them was received.", "source"),
		closed: d.counter("smithproxy_connections_closed_total", "connections",
			"Total number of closed connections, by reason: stop, rejected, lost, restart or evicted.", "source", "policy", "app", "reason"),
		bytes: d.counter("smithproxy_connection_bytes_total", "bytes",
			"Total number of payload bytes of stopped connections, decrypted where TLS is inspected.", "source", "policy", "app", "direction"),
		bounds: b,
	}
	f.limit = b.limit(f.closed, b.config.MaxValues)
	f.transportLimit = b.limit(f.started, b.config.MaxValues)
	return f
}

// kind is one value of the limited label. Policy and application are limited together: their product would
// exceed any limit.
type kind struct{ policy, app string }

// Indexes of the series of a kind. From closedFor on there is one for each of its reasons.
const (
	bytesUp = iota
	bytesDown
	closedFor
)

// reasons has the stop in front, the only reason with an application: it is detected at the stop.
var reasons = track.Reasons

func (k kind) reasons() []track.Reason {
	if k.app == "" || k.app == other {
		return reasons
	}
	return reasons[:1]
}

// transports are those whose series start at 0. A session label can name others.
var transports = []event.Transport{event.TCP, event.TLS, event.UDP, event.Unix, event.SSH, event.QUIC}

type connectionSeries struct {
	perProxy
	started *limitedLabel[event.Transport]
	adopted *series
	kinds   *limitedLabel[kind]
}

func (f *connections) open(p *proxy, now time.Time) familySeries {
	m := &connectionSeries{perProxy: newPerProxy(p)}
	m.started = limitLabel(&m.perProxy, f.bounds, f.transportLimit, other, now, func(t event.Transport, now time.Time) []*series {
		return []*series{f.started.with(now, m.source, pair("transport", string(t)))}
	})
	for _, t := range transports {
		m.started.pin(t, now)
	}
	m.adopted = m.series(f.adopted, now)
	m.kinds = limitLabel(&m.perProxy, f.bounds, f.limit, kind{other, other}, now, func(k kind, now time.Time) []*series {
		policy, app := pair("policy", k.policy), pair("app", k.app)
		list := []*series{
			bytesUp:   f.bytes.with(now, m.source, policy, app, upLabel),
			bytesDown: f.bytes.with(now, m.source, policy, app, downLabel),
		}
		for _, r := range k.reasons() {
			list = append(list, f.closed.with(now, m.source, policy, app, pair("reason", string(r))))
		}
		return list
	})
	m.kinds.pin(kind{"-1", ""}, now)
	m.kinds.pin(m.kinds.overflow, now)
	return m
}

func kindOf(c *track.Connection) kind { return kind{event.PolicyText(c.Policy()), label(c.App())} }

func (m *connectionSeries) take(f track.Fact, now time.Time) {
	switch f := f.(type) {
	case track.Started:
		m.started.seriesFor(f.C.Transport, now)[0].add(1)
	case track.Adopted:
		m.adopted.add(1)
	case track.Stopped:
		list := m.kinds.seriesFor(kindOf(f.C), now)
		list[bytesUp].add(float64(f.C.Stop.BytesUp))
		list[bytesDown].add(float64(f.C.Stop.BytesDown))
	case track.Ended:
		k := kindOf(f.C)
		if !slices.Contains(k.reasons(), f.C.Reason()) {
			k.app = ""
		}
		m.kinds.seriesFor(k, now)[closedFor+slices.Index(reasons, f.C.Reason())].add(1)
	}
}
