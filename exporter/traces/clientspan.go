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
	services []service
	network  func(host string) string
}

// service is a destination with a name.
type service struct {
	name    string
	domains []string // each stands for its subdomains, too
	servers access.Networks
}

func newPeers(c ClientSpanConfig, network func(host string) string) *peers {
	p := &peers{network: network}
	for _, s := range c.Services {
		compiled := service{name: s.Name, servers: access.NewNetworks(s.Servers)}
		for _, domain := range s.Domains {
			compiled.domains = append(compiled.domains, strings.ToLower(strings.Trim(domain, ".")))
		}
		p.services = append(p.services, compiled)
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
	sni = strings.ToLower(strings.TrimSuffix(sni, "."))
	for i := range p.services {
		if p.services[i].has(sni, addr) {
			return p.services[i].name
		}
	}
	switch {
	case !isAddr && sni == "":
		return serviceUnknown
	case isAddr && isInternal(addr):
		return serviceInternal
	default:
		return serviceInternet
	}
}

func (s *service) has(sni string, addr netip.Addr) bool {
	for _, domain := range s.domains {
		if rest, ok := strings.CutSuffix(sni, domain); ok && (rest == "" || strings.HasSuffix(rest, ".")) {
			return true
		}
	}
	return addr.IsValid() && s.servers.Contains(addr)
}

func isInternal(addr netip.Addr) bool {
	return addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast()
}

// client creates the span of the connection's server side, and names the client in the root span. A rejected connection
// has no server side.
func (s *Sink) client(c *track.Connection, why Sampling, root *tracepb.Span, id traceid.ID, start, end time.Time) {
	session, sni := c.Session(), sniOf(c)
	root.Attributes = append(root.Attributes, encodeAttributes([]attribute.KeyValue{keyPeerService.String(s.peers.client(session))}, -1, -1)...)
	if c.Reason() == track.ReasonRejected {
		return
	}
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
