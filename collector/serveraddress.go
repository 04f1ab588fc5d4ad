package collector

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// serverAddresses counts connections without a TLS server name, and their bytes, by server address.
type serverAddresses struct {
	connections, bytes *metric
	bounds             *bounds
	limit              *limit
}

func newServerAddresses(d *definitions, b *bounds) *serverAddresses {
	f := &serverAddresses{
		connections: d.counter("smithproxy_server_connections_total", "connections",
			"Total number of stopped connections without a TLS server name, by server address.", "source", "server"),
		bytes: d.counter("smithproxy_server_bytes_total", "bytes",
			"Total number of payload bytes of stopped connections without a TLS server name, by server address.", "source", "server", "direction"),
		bounds: b,
	}
	f.limit = b.limit(f.connections, b.config.MaxValues)
	return f
}

// Indexes of the series of an address.
const (
	addressConnections = iota
	addressUp
	addressDown
)

type serverAddressSeries struct {
	perProxy
	addresses *limitedLabel[string]
}

func (f *serverAddresses) open(p *proxy, now time.Time) familySeries {
	m := &serverAddressSeries{perProxy: newPerProxy(p)}
	m.addresses = limitLabel(&m.perProxy, f.bounds, f.limit, other, now, func(address string, now time.Time) []*series {
		server := pair("server", address)
		return []*series{
			addressConnections: f.connections.with(now, m.source, server),
			addressUp:          f.bytes.with(now, m.source, server, upLabel),
			addressDown:        f.bytes.with(now, m.source, server, downLabel),
		}
	})
	m.addresses.pin(other, now)
	return m
}

func (m *serverAddressSeries) take(f track.Fact, now time.Time) {
	stopped, ok := f.(track.Stopped)
	if !ok || stopped.C.Stop.SNI != "" {
		return
	}
	list := m.addresses.seriesFor(label(stopped.C.Session().Server.Host), now)
	list[addressConnections].add(1)
	list[addressUp].add(float64(stopped.C.Stop.BytesUp))
	list[addressDown].add(float64(stopped.C.Stop.BytesDown))
}
