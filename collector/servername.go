package collector

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// serverNames counts connections and bytes by TLS server name.
type serverNames struct {
	traffic
	registered bool
	bounds     *bounds
	limit      *limit
}

func newServerNames(d *definitions, b *bounds, grouping SNIGrouping) *serverNames {
	f := &serverNames{registered: grouping == SNIRegisteredDomain, bounds: b, traffic: traffic{
		connections: d.counter("smithproxy_sni_connections_total", "connections",
			"Total number of stopped connections, by TLS server name.", "source", "sni"),
		bytes: d.counter("smithproxy_sni_bytes_total", "bytes",
			"Total number of payload bytes of stopped connections, by TLS server name.", "source", "sni", "direction"),
	}}
	f.limit = b.limit(f.connections, b.config.MaxValues)
	return f
}

type serverNameSeries struct {
	perProxy
	family *serverNames
	names  *limitedLabel[string]
}

func (f *serverNames) open(p *proxy, now time.Time) familySeries {
	m := &serverNameSeries{perProxy: newPerProxy(p), family: f}
	m.names = limitLabel(&m.perProxy, f.bounds, f.limit, other, now, func(name string, now time.Time) []*series {
		return f.series(now, m.source, pair("sni", name))
	})
	m.names.pin(other, now)
	m.names.pin(invalid, now)
	return m
}

func (m *serverNameSeries) take(f track.Fact, now time.Time) {
	stopped, ok := f.(track.Stopped)
	if !ok || stopped.C.Stop.SNI == "" {
		return
	}
	stop := stopped.C.Stop
	name := serverName(stop.SNI)
	if m.family.registered {
		name = registeredDomain(name)
	}
	countStop(m.names.seriesFor(name, now), stop)
}
