package collector

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// standing is what there is of something at the moment. It says as much when it does not change, and
// stays for as long as the proxy is remembered.
type standing struct{ connections, neighbors *metric }

func newStanding(d *definitions) *standing {
	return &standing{
		connections: d.gauge("smithproxy_connections_active", "connections",
			"Number of open connections, as far as the events of the proxy tell.", "source"),
		neighbors: d.gauge("smithproxy_neighbors", "addresses",
			"Number of client addresses with traffic within the neighbor window.", "source"),
	}
}

type standingOf struct {
	own
	connections, neighbors *series
}

func (f *standing) of(p *proxy, now time.Time) member {
	m := &standingOf{own: ownOf(p)}
	m.connections = m.series(f.connections, now)
	m.neighbors = m.series(f.neighbors, now)
	return m
}

func (m *standingOf) take(f track.Fact, _ time.Time) {
	if s, ok := f.(track.ProxyStatus); ok {
		m.connections.set(float64(s.Open))
		m.neighbors.set(float64(s.Neighbors))
	}
}
