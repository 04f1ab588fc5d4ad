package collector

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// liveness says which proxies are there. Its series stay for as long as a proxy is remembered: one
// that went away would resolve the alert about it.
type liveness struct{ up, lastPing, instance, pings, restarts *metric }

func newLiveness(d *definitions) *liveness {
	return &liveness{
		up: d.gauge("smithproxy_up", "0 or 1",
			"Whether the proxy sent a ping within the ping timeout (1) or not (0).", "source"),
		lastPing: d.gauge("smithproxy_last_ping_timestamp_seconds", "seconds",
			"Unix time at which the last ping of the proxy was received.", "source"),
		instance: d.gauge("smithproxy_instance_info", "1",
			"The boot id of the proxy that is running; always 1.", "source", "instance"),
		pings: d.counter("smithproxy_pings_total", "pings",
			"Pings received from the proxy.", "source"),
		restarts: d.counter("smithproxy_restarts_total", "restarts",
			"Times that the proxy came back with another boot id.", "source"),
	}
}

type livenessOf struct {
	own
	family          *liveness
	pings, restarts *series
	// up and lastPing are nil until the proxy pinged or was missed, instance until it is known.
	up, lastPing, instance *series
}

func (f *liveness) of(p *proxy, now time.Time) member {
	m := &livenessOf{own: ownOf(p), family: f}
	m.pings = m.series(f.pings, now)
	m.restarts = m.series(f.restarts, now)
	return m
}

func (m *livenessOf) take(f track.Fact, now time.Time) {
	switch f := f.(type) {
	case track.Restored:
		m.restore(f, now)
	case track.Pinged:
		m.pinged(1, f.At, now)
		m.pings.value++
	case track.ProxySilent:
		m.show(0, now)
	case track.InstanceChanged:
		if f.Old != "" {
			m.restarts.value++
		}
		m.runs(f.New, now)
	}
}

// restore shows a proxy as it was before the exporter was started anew.
func (m *livenessOf) restore(r track.Restored, now time.Time) {
	if r.Instance != "" {
		m.runs(r.Instance, now)
	}
	if r.PingedAt.IsZero() {
		return
	}
	up := 1.0
	if r.Silent {
		up = 0
	}
	m.pinged(up, r.PingedAt, now)
}

func (m *livenessOf) show(up float64, now time.Time) {
	if m.up == nil {
		m.up = m.series(m.family.up, now)
	}
	m.up.value = up
}

func (m *livenessOf) pinged(up float64, at, now time.Time) {
	m.show(up, now)
	if m.lastPing == nil {
		m.lastPing = m.series(m.family.lastPing, now)
	}
	m.lastPing.value = unixSeconds(at)
}

// runs shows the boot id in force, and none beside it.
func (m *livenessOf) runs(instance string, now time.Time) {
	if m.instance != nil {
		m.instance.drop()
	}
	m.instance = m.family.instance.with(now, m.source, pair("instance", label(instance)))
	m.instance.value = 1
}

func (m *livenessOf) drop() {
	m.own.drop()
	if m.instance != nil {
		m.instance.drop()
	}
}

func unixSeconds(at time.Time) float64 { return float64(at.UnixNano()) / 1e9 }
