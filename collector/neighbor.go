package collector

import (
	"github.com/prometheus/client_golang/prometheus"

	"smithproxy_exporter/exporter/track"
)

// neighbors are the client addresses that the proxies see.
type neighbors struct {
	alive, lastSeen *prometheus.GaugeVec
	discovered      *prometheus.CounterVec
	addresses       *quota
}

func newNeighbors(limits *Limits) *neighbors {
	const lastSeen = "smithproxy_neighbor_last_seen_timestamp_seconds"
	return &neighbors{
		alive: gauge("smithproxy_neighbors",
			"Client addresses of which the proxy saw traffic within the neighbor window.", "source"),
		lastSeen: gauge(lastSeen,
			"Unix time at which the proxy last named the client address.", "source", "address"),
		discovered: counter("smithproxy_neighbors_discovered_total",
			"Client addresses whose traffic the proxy saw for the first time.", "source"),
		addresses: limits.quota(lastSeen),
	}
}

func (m *neighbors) vectors() []vector { return []vector{m.alive, m.lastSeen, m.discovered} }

func (m *neighbors) take(f track.Fact) {
	switch f := f.(type) {
	case track.ProxyAppeared:
		source := label(f.Source)
		m.alive.WithLabelValues(source)
		m.discovered.WithLabelValues(source)
	case track.NeighborsAlive:
		m.alive.WithLabelValues(label(f.Source)).Set(float64(f.Count))
	case track.NeighborSeen:
		source := label(f.Source)
		address := m.addresses.admit(source, label(f.Address))
		m.lastSeen.WithLabelValues(source, address).Set(float64(f.At.UnixNano()) / 1e9)
		if f.Discovered {
			m.discovered.WithLabelValues(source).Inc()
		}
	case track.ProxyForgotten:
		m.addresses.forget(label(f.Source))
	}
}
