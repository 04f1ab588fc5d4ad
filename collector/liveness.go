package collector

import (
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// liveness has the metrics that tell which proxies are up. Its series stay for as long as a proxy is known: a
// series that disappeared would resolve the alert about it.
type liveness struct{ up, lastPing, instance, pings, restarts *metric }

func newLiveness(d *definitions) *liveness {
	return &liveness{
		up: d.gauge("smithproxy_up", "0 or 1",
			"Whether the proxy sent a ping within the ping timeout (1) or not (0).", "source"),
		lastPing: d.gauge("smithproxy_last_ping_timestamp_seconds", "seconds",
			"Time of the last ping as a Unix timestamp.", "source"),
		instance: d.gauge("smithproxy_instance_info", "1",
			"Constant 1, labeled by the boot id of the running proxy.", "source", "instance"),
		pings: d.counter("smithproxy_pings_total", "pings",
			"Total number of received pings.", "source"),
		restarts: d.counter("smithproxy_restarts_total", "restarts",
			"Total number of restarts, seen as a change of the boot id.", "source"),
	}
}

type livenessSeries struct {
	perProxy
	family          *liveness
	pings, restarts *series
	// up, lastPing and instance are nil until they are known.
	up, lastPing, instance *series
	running                string // the boot id that instance shows
}

func (f *liveness) open(p *proxy, now time.Time) familySeries {
	m := &livenessSeries{perProxy: newPerProxy(p), family: f}
	m.pings = m.series(f.pings, now)
	m.restarts = m.series(f.restarts, now)
	return m
}

func (m *livenessSeries) take(f track.Fact, now time.Time) {
	switch f := f.(type) {
	case track.Received:
		if f.Action == event.ActionPing {
			m.pings.add(1)
		}
	case track.ProxyRestarted:
		m.restarts.add(1)
	case track.ProxyStatus:
		m.status(f, now)
	}
}

// status exposes the status of the proxy.
func (m *livenessSeries) status(s track.ProxyStatus, now time.Time) {
	if s.Instance != "" && s.Instance != m.running {
		m.runs(s.Instance, now)
	}
	if !s.PingedAt.IsZero() {
		if m.lastPing == nil {
			m.lastPing = m.series(m.family.lastPing, now)
		}
		m.lastPing.set(unixSeconds(s.PingedAt))
	}
	if s.Unknown {
		return
	}
	if m.up == nil {
		m.up = m.series(m.family.up, now)
	}
	up := 0.0
	if s.Up {
		up = 1
	}
	m.up.set(up)
}

// runs exposes the boot id in force, and removes the one before.
func (m *livenessSeries) runs(instance string, now time.Time) {
	if m.instance != nil {
		m.instance.drop()
	}
	m.instance = m.family.instance.with(now, m.source, pair("instance", label(instance)))
	m.instance.set(1)
	m.running = instance
}

func (m *livenessSeries) drop() {
	m.perProxy.drop()
	if m.instance != nil {
		m.instance.drop()
	}
}

func unixSeconds(at time.Time) float64 { return float64(at.UnixNano()) / 1e9 }
