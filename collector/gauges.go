package collector

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// gauges are the current numbers of a proxy. They are meaningful without any change, so they stay for as long
// as the proxy is known.
type gauges struct{ connections, neighbors *metric }

func newGauges(d *definitions) *gauges {
	return &gauges{
		connections: d.gauge("smithproxy_connections_active", "connections",
			"Number of open connections, as far as the events of the proxy tell; 0 while it is down.", "source"),
		neighbors: d.gauge("smithproxy_neighbors", "addresses",
			"Number of client addresses with traffic within the neighbor window.", "source"),
	}
}

type gaugeSeries struct {
	perProxy
	connections, neighbors *series
}

func (f *gauges) open(p *proxy, now time.Time) familySeries {
	m := &gaugeSeries{perProxy: newPerProxy(p)}
	m.connections = m.series(f.connections, now)
	m.neighbors = m.series(f.neighbors, now)
	return m
}

func (m *gaugeSeries) take(f track.Fact, _ time.Time) {
	if s, ok := f.(track.ProxyStatus); ok {
		m.connections.set(float64(s.Open))
		m.neighbors.set(float64(s.Neighbors))
	}
}
