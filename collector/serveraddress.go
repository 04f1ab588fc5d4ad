package collector

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// serverAddresses counts connections without a TLS server name, and their bytes, by server address.
type serverAddresses struct {
	traffic
	bounds *bounds
	limit  *limit
}

func newServerAddresses(d *definitions, b *bounds) *serverAddresses {
	f := &serverAddresses{bounds: b, traffic: traffic{
		connections: d.counter("smithproxy_server_connections_total", "connections",
			"Total number of stopped connections without a TLS server name, by server address.", "source", "server"),
		bytes: d.counter("smithproxy_server_bytes_total", "bytes",
			"Total number of payload bytes of stopped connections without a TLS server name, by server address.", "source", "server", "direction"),
	}}
	f.limit = b.limit(f.connections, b.config.MaxValues)
	return f
}

type serverAddressSeries struct {
	perProxy
	addresses *limitedLabel[string]
}

func (f *serverAddresses) open(p *proxy, now time.Time) familySeries {
	m := &serverAddressSeries{perProxy: newPerProxy(p)}
	m.addresses = limitLabel(&m.perProxy, f.bounds, f.limit, other, now, func(address string, now time.Time) []*series {
		return f.series(now, m.source, pair("server", address))
	})
	m.addresses.pin(other, now)
	return m
}

func (m *serverAddressSeries) take(f track.Fact, now time.Time) {
	stopped, ok := f.(track.Stopped)
	if !ok || stopped.C.Stop.SNI != "" {
		return
	}
	countStop(m.addresses.seriesFor(label(stopped.C.Session().Server.Host), now), stopped.C.Stop)
}
