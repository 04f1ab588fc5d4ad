package collector

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// serverNames counts connections and bytes by TLS server name.
type serverNames struct {
	connections, bytes *metric
	registered         bool
	bounds             *bounds
	limit              *limit
}

func newServerNames(d *definitions, b *bounds, grouping SNIGrouping) *serverNames {
	f := &serverNames{
		connections: d.counter("smithproxy_sni_connections_total", "connections",
			"Total number of stopped connections, by TLS server name.", "source", "sni"),
		bytes: d.counter("smithproxy_sni_bytes_total", "bytes",
			"Total number of payload bytes of stopped connections, by TLS server name.", "source", "sni", "direction"),
		registered: grouping == SNIRegisteredDomain, bounds: b,
	}
	f.limit = b.limit(f.connections, b.config.MaxValues)
	return f
}

// Indexes of the series of a name.
const (
	nameConnections = iota
	nameUp
	nameDown
)

type serverNameSeries struct {
	perProxy
	family *serverNames
	names  *limitedLabel[string]
}

func (f *serverNames) open(p *proxy, now time.Time) familySeries {
	m := &serverNameSeries{perProxy: newPerProxy(p), family: f}
	m.names = limitLabel(&m.perProxy, f.bounds, f.limit, other, now, func(name string, now time.Time) []*series {
		sni := pair("sni", name)
		return []*series{
			nameConnections: f.connections.with(now, m.source, sni),
			nameUp:          f.bytes.with(now, m.source, sni, upLabel),
			nameDown:        f.bytes.with(now, m.source, sni, downLabel),
		}
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
	list := m.names.seriesFor(name, now)
	list[nameConnections].add(1)
	list[nameUp].add(float64(stop.BytesUp))
	list[nameDown].add(float64(stop.BytesDown))
}
