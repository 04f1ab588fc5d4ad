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

// connections counts connections, each once, and what they carried.
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
	f.limit = b.limit(f.closed, b.options.MaxValues)
	f.transportLimit = b.limit(f.started, b.options.MaxValues)
	return f
}

// kind is what connections are told apart by. The pair is one value: so many policies times so many
// applications would be too many.
type kind struct{ policy, app string }

// The series of a kind: those of its bytes, and of what it was closed for, in the order of reasons.
const (
	bytesUp = iota
	bytesDown
	closedFor
)

// reasons has the one in front that every kind can have. Without a stop there is no application, so that
// only connections of none end for the others.
var reasons = track.Reasons

func (k kind) reasons() []track.Reason {
	if k.app == "" || k.app == other {
		return reasons
	}
	return reasons[:1]
}

// transports are those whose series start at 0. A label can name others.
var transports = []event.Transport{event.TCP, event.TLS, event.UDP, event.Unix, event.SSH, event.QUIC}

type connectionsOf struct {
	own
	started *capped[event.Transport]
	adopted *series
	kinds   *capped[kind]
}

func (f *connections) of(p *proxy, now time.Time) member {
	m := &connectionsOf{own: ownOf(p)}
	m.started = capLabel(&m.own, f.bounds, f.transportLimit, other, now, func(t event.Transport, now time.Time) []*series {
		return []*series{f.started.with(now, m.source, pair("transport", string(t)))}
	})
	for _, t := range transports {
		m.started.pin(t, now)
	}
	m.adopted = m.series(f.adopted, now)
	m.kinds = capLabel(&m.own, f.bounds, f.limit, kind{other, other}, now, func(k kind, now time.Time) []*series {
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
	m.kinds.pin(m.kinds.rest, now)
	return m
}

func kindOf(c *track.Connection) kind { return kind{event.PolicyText(c.Policy()), label(c.App())} }

func (m *connectionsOf) take(f track.Fact, now time.Time) {
	switch f := f.(type) {
	case track.Started:
		m.started.of(f.C.Transport, now)[0].add(1)
	case track.Adopted:
		m.adopted.add(1)
	case track.Stopped:
		list := m.kinds.of(kindOf(f.C), now)
		list[bytesUp].add(float64(f.C.Stop.BytesUp))
		list[bytesDown].add(float64(f.C.Stop.BytesDown))
	case track.Ended:
		k := kindOf(f.C)
		if !slices.Contains(k.reasons(), f.C.Reason()) {
			k.app = ""
		}
		m.kinds.of(k, now)[closedFor+slices.Index(reasons, f.C.Reason())].add(1)
	}
}
