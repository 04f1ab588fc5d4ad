package collector

import (
	"github.com/prometheus/client_golang/prometheus"

	"smithproxy_exporter/exporter/track"
)

// Directions of payload: up is what the client sent.
const (
	up   = "up"
	down = "down"
)

// applications counts what connections carried, by what they carried it for.
type applications struct {
	bytes, requests *prometheus.CounterVec
	apps, policies  *quota
}

func newApplications(limits *Limits) *applications {
	const bytes = "smithproxy_connection_bytes_total"
	return &applications{
		bytes: counter(bytes,
			"Payload bytes of stopped connections; decrypted where TLS is inspected.",
			"source", "policy", "app", "direction"),
		requests: counter("smithproxy_l7_requests_total",
			"Requests that the L7 engine listed at the stop of connections; it does not list all.", "source", "app"),
		apps: limits.quota(bytes), policies: limits.quota(bytes),
	}
}

func (m *applications) vectors() []vector { return []vector{m.bytes, m.requests} }

func (m *applications) take(f track.Fact) {
	switch f := f.(type) {
	case track.Stopped:
		source := label(f.C.Source)
		app := m.apps.admit(source, label(f.C.App()))
		policy := m.policies.admit(source, policy(f.C))
		m.bytes.WithLabelValues(source, policy, app, up).Add(float64(f.C.Stop.BytesUp))
		m.bytes.WithLabelValues(source, policy, app, down).Add(float64(f.C.Stop.BytesDown))
		if app != "" {
			m.requests.WithLabelValues(source, app).Add(float64(f.C.DetailsListed))
		}
	case track.ProxyForgotten:
		m.apps.forget(label(f.Source))
		m.policies.forget(label(f.Source))
	}
}
