package collector

import (
	"time"

	dto "github.com/prometheus/client_model/go"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// clients counts connections, bytes and rejects by client address.
type clients struct {
	connections, bytes, rejects *metric
	networks                    Networks
	bounds                      *bounds
	limit                       *limit
}

func newClients(d *definitions, b *bounds, n Networks) *clients {
	f := &clients{
		connections: d.counter("smithproxy_client_connections_total", "connections",
			"Total number of closed connections, by client address.", "source", "client", "network"),
		bytes: d.counter("smithproxy_client_bytes_total", "bytes",
			"Total number of payload bytes of stopped connections, by client address.", "source", "client", "network", "direction"),
		rejects: d.counter("smithproxy_client_rejects_total", "connections",
			"Total number of connections rejected by an access-request, by client address.", "source", "client", "network"),
		networks: n, bounds: b,
	}
	f.limit = b.limit(f.connections, b.config.MaxValues)
	return f
}

// client is a client address, "" if it is unknown, and the name of its network.
type client struct{ address, network string }

func (n Networks) client(s event.Session) client {
	return client{label(s.Client.Host), n.NameOf(s.Client.Host)}
}

// others is the overflow of the clients in the same network, so that the sums of networks are exact.
func (c client) others() client { return client{other, c.network} }

func (c client) labels() (address, network *dto.LabelPair) {
	return pair("client", c.address), pair("network", c.network)
}

// Indexes of the series of a client.
const (
	clientConnections = iota
	clientRejects
	clientUp
	clientDown
)

type clientSeries struct {
	perProxy
	family  *clients
	clients *limitedLabel[client]
}

func (f *clients) open(p *proxy, now time.Time) familySeries {
	m := &clientSeries{perProxy: newPerProxy(p), family: f}
	m.clients = limitLabel(&m.perProxy, f.bounds, f.limit, client{}.others(), now, func(c client, now time.Time) []*series {
		address, network := c.labels()
		return []*series{
			clientConnections: f.connections.with(now, m.source, address, network),
			clientRejects:     f.rejects.with(now, m.source, address, network),
			clientUp:          f.bytes.with(now, m.source, address, network, upLabel),
			clientDown:        f.bytes.with(now, m.source, address, network, downLabel),
		}
	})
	m.clients.group = client.others
	m.clients.pin(m.clients.overflow, now)
	return m
}

func (m *clientSeries) take(f track.Fact, now time.Time) {
	switch f := f.(type) {
	case track.Ended:
		m.of(f.C.Session(), now)[clientConnections].add(1)
	case track.Stopped:
		list := m.of(f.C.Session(), now)
		list[clientUp].add(float64(f.C.Stop.BytesUp))
		list[clientDown].add(float64(f.C.Stop.BytesDown))
	case track.Decided:
		if isReject(f) {
			m.of(f.D.Session(), now)[clientRejects].add(1)
		}
	}
}

func (m *clientSeries) of(s event.Session, now time.Time) []*series {
	return m.clients.seriesFor(m.family.networks.client(s), now)
}

// isReject reports whether a decision rejects a connection that was not counted yet.
func isReject(f track.Decided) bool { return !f.Repeat && f.D.Verdict == event.Reject }
