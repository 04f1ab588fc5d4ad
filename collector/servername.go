package collector

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"smithproxy_exporter/exporter/track"
)

// serverNames counts connections by the name that the TLS client asked for.
type serverNames struct {
	connections, bytes *prometheus.CounterVec
	names              *quota
}

func newServerNames(limits *Limits) *serverNames {
	const connections = "smithproxy_sni_connections_total"
	return &serverNames{
		connections: counter(connections,
			"Stopped connections by TLS server name.", "source", "sni"),
		bytes: counter("smithproxy_sni_bytes_total",
			"Payload bytes of stopped connections by TLS server name.", "source", "sni", "direction"),
		names: limits.quota(connections),
	}
}

func (m *serverNames) vectors() []vector { return []vector{m.connections, m.bytes} }

func (m *serverNames) take(f track.Fact) {
	switch f := f.(type) {
	case track.Stopped:
		if f.C.Stop.SNI == "" {
			return
		}
		source := label(f.C.Source)
		name := m.names.admit(source, label(strings.ToLower(strings.TrimSuffix(f.C.Stop.SNI, "."))))
		m.connections.WithLabelValues(source, name).Inc()
		m.bytes.WithLabelValues(source, name, up).Add(float64(f.C.Stop.BytesUp))
		m.bytes.WithLabelValues(source, name, down).Add(float64(f.C.Stop.BytesDown))
	case track.ProxyForgotten:
		m.names.forget(label(f.Source))
	}
}
