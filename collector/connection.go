package collector

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// connections counts connections, each once, and how long they lasted.
type connections struct {
	started, closed *prometheus.CounterVec
	active          *prometheus.GaugeVec
	duration        *prometheus.HistogramVec
	apps, policies  *quota
}

// durationBuckets, in seconds, reach from a refused connection (around 1 ms) over requests and idle
// time-outs (DNS 20 s, UDP 1 h) to sessions of a day.
var durationBuckets = []float64{
	.001, .005, .025, .1, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600,
}

func newConnections(limits *Limits) *connections {
	const closed = "smithproxy_connections_closed_total"
	return &connections{
		started: counter("smithproxy_connections_started_total",
			"Connections whose start was received.", "source", "transport"),
		closed: counter(closed,
			"Connections that are over, by what ended them: stop, rejected, lost or restart.",
			"source", "policy", "app", "reason"),
		active: gauge("smithproxy_connections_active",
			"Connections that are open: started or listed by the proxy, and not known to be over.", "source"),
		duration: nativeHistogram("smithproxy_connection_duration_seconds",
			"How long connections lasted whose start and end were received.",
			durationBuckets, "source", "app"),
		apps: limits.quota(closed), policies: limits.quota(closed),
	}
}

func (m *connections) vectors() []vector {
	return []vector{m.started, m.closed, m.active, m.duration}
}

func (m *connections) take(f track.Fact) {
	switch f := f.(type) {
	case track.ProxyAppeared:
		source := label(f.Source)
		for _, t := range []event.Transport{event.TCP, event.TLS, event.UDP, event.Unix} {
			m.started.WithLabelValues(source, string(t))
		}
		m.active.WithLabelValues(source)
	case track.Opened:
		source := label(f.C.Source)
		m.started.WithLabelValues(source, string(f.C.Transport)).Inc()
		if f.C.Reason != "" {
			m.lasted(f.C)
		}
	case track.ConnectionsActive:
		m.active.WithLabelValues(label(f.Source)).Set(float64(f.Count))
	case track.Closed:
		source := label(f.C.Source)
		m.closed.WithLabelValues(source, m.policies.admit(source, policy(f.C)),
			m.apps.admit(source, label(f.C.App())), string(f.C.Reason)).Inc()
		if !f.C.StartedAt.IsZero() {
			m.lasted(f.C)
		}
	case track.ProxyForgotten:
		m.apps.forget(label(f.Source))
		m.policies.forget(label(f.Source))
	}
}

// lasted is called when the later one of start and end has come.
func (m *connections) lasted(c *track.Connection) {
	d, known := c.Duration()
	if !known {
		return
	}
	source := label(c.Source)
	observe(m.duration.WithLabelValues(source, m.apps.admit(source, label(c.App()))), d.Seconds(), c)
}

func policy(c *track.Connection) string { return strconv.Itoa(c.Policy()) }
