package collector

import (
	"github.com/prometheus/client_golang/prometheus"

	"smithproxy_exporter/exporter/track"
)

// liveness says which proxies are there. Its series stay for as long as a proxy is remembered: one
// that went away would resolve the alert about it.
type liveness struct {
	up, lastPing, instance *prometheus.GaugeVec
	pings, restarts        *prometheus.CounterVec
}

func newLiveness() *liveness {
	return &liveness{
		up: gauge("smithproxy_up",
			"Whether the proxy sent a ping within the ping timeout (1) or not (0).", "source"),
		lastPing: gauge("smithproxy_last_ping_timestamp_seconds",
			"Unix time at which the last ping of the proxy was received.", "source"),
		instance: gauge("smithproxy_instance_info",
			"The boot id of the proxy that is running; always 1.", "source", "instance"),
		pings: counter("smithproxy_pings_total",
			"Pings received from the proxy.", "source"),
		restarts: counter("smithproxy_restarts_total",
			"Times that the proxy came back with another boot id.", "source"),
	}
}

func (m *liveness) vectors() []vector {
	return []vector{m.up, m.lastPing, m.instance, m.pings, m.restarts}
}

func (m *liveness) take(f track.Fact) {
	switch f := f.(type) {
	case track.ProxyAppeared:
		source := label(f.Source)
		m.pings.WithLabelValues(source)
		m.restarts.WithLabelValues(source)
	case track.Restored:
		m.restore(f)
	case track.Pinged:
		source := label(f.Source)
		m.up.WithLabelValues(source).Set(1)
		m.lastPing.WithLabelValues(source).Set(float64(f.At.UnixNano()) / 1e9)
		m.pings.WithLabelValues(source).Inc()
	case track.ProxySilent:
		m.up.WithLabelValues(label(f.Source)).Set(0)
	case track.InstanceChanged:
		source := label(f.Source)
		if f.Old != "" {
			m.restarts.WithLabelValues(source).Inc()
			m.instance.DeleteLabelValues(source, label(f.Old))
		}
		m.instance.WithLabelValues(source, label(f.New)).Set(1)
	}
}

// restore shows a proxy as it was before the exporter was started anew.
func (m *liveness) restore(r track.Restored) {
	source := label(r.Source)
	if r.Instance != "" {
		m.instance.WithLabelValues(source, label(r.Instance)).Set(1)
	}
	if r.PingedAt.IsZero() {
		return
	}
	up := 1.0
	if r.Silent {
		up = 0
	}
	m.up.WithLabelValues(source).Set(up)
	m.lastPing.WithLabelValues(source).Set(float64(r.PingedAt.UnixNano()) / 1e9)
}
