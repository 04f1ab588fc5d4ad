package traces

import (
	"net/netip"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/traceid"
	"smithproxy_exporter/exporter/track"
)

// keyPeerService names the other side for service graphs. The conventions have a newer name, which no backend reads yet.
const keyPeerService attribute.Key = "peer.service"

// The names of destinations that no configured service matches, and of clients without a network.
const (
	serviceInternet = "internet"
	serviceInternal = "internal" // addresses that are not routed in the internet
	serviceUnknown  = "unknown"
	serviceClients  = "clients"
)

// peers names both sides of connections, with a bounded set of names.
type peers struct {
	network func(host string) string
	// The services, in order. byDomain has the first one of each domain, which stands for its subdomains, too.
	names    []string
	servers  []access.Networks
	byDomain map[string]int
}

func newPeers(c ClientSpanConfig, network func(host string) string) *peers {
	p := &peers{network: network, byDomain: map[string]int{}}
	for i, s := range c.Services {
		p.names, p.servers = append(p.names, s.Name), append(p.servers, access.NewNetworks(s.Servers))
		for _, domain := range s.Domains {
			domain = strings.ToLower(strings.Trim(domain, "."))
			if _, earlier := p.byDomain[domain]; !earlier {
				p.byDomain[domain] = i
			}
		}
	}
	return p
}

// client returns the name of the client's network.
func (p *peers) client(s event.Session) string {
	if name := p.network(s.Client.Host); name != "" {
		return name
	}
	return serviceClients
}

// server returns the name of the first service that has the server.
func (p *peers) server(s event.Session, sni string) string {
	addr, isAddr := s.Server.Addr()
	addr = addr.Unmap().WithZone("")
	first := p.ofDomain(strings.ToLower(strings.TrimSuffix(sni, ".")))
	for i := range p.servers[:first] {
		if isAddr && p.servers[i].Contains(addr) {
			first = i
			break
		}
	}
	switch {
	case first < len(p.names):
		return p.names[first]
	case !isAddr && sni == "":
		return serviceUnknown
	case isAddr && isInternal(addr):
		return serviceInternal
	default:
		return serviceInternet
	}
}

// ofDomain returns the first service with the name or a domain above it, len(p.names) if there is none.
func (p *peers) ofDomain(name string) int {
	first := len(p.names)
	for more := name != ""; more; _, name, more = strings.Cut(name, ".") {
		if i, ok := p.byDomain[name]; ok {
			first = min(first, i)
		}
	}
	return first
}

func isInternal(addr netip.Addr) bool {
	return addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast()
}

// client creates the span of the connection's server side.
func (s *Sink) client(c *track.Connection, why Sampling, root *tracepb.Span, id traceid.ID, start, end time.Time) {
	session, sni := c.Session(), sniOf(c)
	a := attributes{keyPeerService.String(s.peers.server(session, sni))}
	if name := serverAddress(session, sni); name != "" {
		a.add(semconv.ServerAddress(name))
	}
	if session.Server.Known() {
		a.add(semconv.ServerPort(int(session.Server.Port)), semconv.NetworkPeerAddress(session.Server.Host),
			semconv.NetworkPeerPort(int(session.Server.Port)))
	}
	span := s.span(id.Child(nameClient), id.Span[:], nameClient, tracepb.Span_SPAN_KIND_CLIENT, start, end, a)
	span.Status = root.Status
	s.add(c.Source, why, span)
}
