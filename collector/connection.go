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
	limit                           *limit
}

func newConnections(d *definitions, b *bounds) *connections {
	f := &connections{
		started: d.counter("smithproxy_connections_started_total", "connections",
			"Connections whose start was received.", "source", "transport"),
		adopted: d.counter("smithproxy_connections_adopted_total", "connections",
			"Connections that a ping named as open, and of which nothing had been received.", "source"),
		closed: d.counter("smithproxy_connections_closed_total", "connections",
			"Connections that are over, by what ended them: stop, rejected, lost or restart.", "source", "policy", "app", "reason"),
		bytes: d.counter("smithproxy_connection_bytes_total", "bytes",
			"Payload bytes of stopped connections; decrypted where TLS is inspected.", "source", "policy", "app", "direction"),
		bounds: b,
	}
	f.limit = b.limit(f.closed, b.options.MaxValues)
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

type connectionsOf struct {
	own
	family  *connections
	started map[event.Transport]*series
	adopted *series
	kinds   *capped[kind]
}

func (f *connections) of(p *proxy, now time.Time) member {
	m := &connectionsOf{own: ownOf(p), family: f, started: map[event.Transport]*series{}}
	for _, t := range []event.Transport{event.TCP, event.TLS, event.UDP, event.Unix} {
		m.startedBy(t, now)
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

// startedBy returns the series of a transport; that of event.TransportUnknown is made when it comes.
func (m *connectionsOf) startedBy(t event.Transport, now time.Time) *series {
	s, ok := m.started[t]
	if !ok {
		s = m.series(m.family.started, now, pair("transport", string(t)))
		m.started[t] = s
	}
	return s
}

func kindOf(c *track.Connection) kind { return kind{event.PolicyText(c.Policy()), label(c.App())} }

func (m *connectionsOf) take(f track.Fact, now time.Time) {
	switch f := f.(type) {
	case track.Started:
		m.startedBy(f.C.Transport, now).add(1)
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
