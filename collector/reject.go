package collector

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// rejects counts rejected connections by the rule and either side.
type rejects struct {
	clients, servers         *metric
	networks                 Networks
	bounds                   *bounds
	clientLimit, serverLimit *limit
}

func newRejects(d *definitions, b *bounds, n Networks) *rejects {
	f := &rejects{
		clients: d.counter("smithproxy_access_rejects_total", "connections",
			"Total number of connections rejected by an access-request, by rule and client address.", "source", "rule", "client", "network"),
		servers: d.counter("smithproxy_server_rejects_total", "connections",
			"Total number of connections rejected by an access-request, by rule and server address.", "source", "rule", "server"),
		networks: n, bounds: b,
	}
	f.clientLimit, f.serverLimit = b.limit(f.clients, b.config.MaxValues), b.limit(f.servers, b.config.MaxValues)
	return f
}

// rejectedClient is a rule and a client that it rejected.
type rejectedClient struct {
	rule string
	client
}

func (r rejectedClient) others() rejectedClient { return rejectedClient{other, r.client.others()} }

// rejectedServer is a rule and a server to which it rejected a connection.
type rejectedServer struct{ rule, server string }

type rejectSeries struct {
	perProxy
	family  *rejects
	clients *limitedLabel[rejectedClient]
	servers *limitedLabel[rejectedServer]
}

func (f *rejects) open(p *proxy, now time.Time) familySeries {
	m := &rejectSeries{perProxy: newPerProxy(p), family: f}
	m.clients = limitLabel(&m.perProxy, f.bounds, f.clientLimit, rejectedClient{}.others(), now, func(r rejectedClient, now time.Time) []*series {
		address, network := r.labels()
		return []*series{f.clients.with(now, m.source, pair("rule", r.rule), address, network)}
	})
	m.clients.group = rejectedClient.others
	m.servers = limitLabel(&m.perProxy, f.bounds, f.serverLimit, rejectedServer{other, other}, now, func(r rejectedServer, now time.Time) []*series {
		return []*series{f.servers.with(now, m.source, pair("rule", r.rule), pair("server", r.server))}
	})
	m.clients.pin(m.clients.overflow, now)
	m.servers.pin(m.servers.overflow, now)
	return m
}

func (m *rejectSeries) take(f track.Fact, now time.Time) {
	d, ok := f.(track.Decided)
	if !ok || !isReject(d) {
		return
	}
	rule, session := label(d.D.Rule), d.D.Session()
	m.clients.seriesFor(rejectedClient{rule, m.family.networks.client(session)}, now)[0].add(1)
	m.servers.seriesFor(rejectedServer{rule, label(session.Server.Host)}, now)[0].add(1)
}
