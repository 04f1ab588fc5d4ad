package event

import (
	"net/netip"
	"strconv"
	"strings"
)

// Transport is the transport of one side of a connection.
type Transport string

// The transports, by the names that users see.
const (
	TCP              Transport = "tcp"
	TLS              Transport = "tls" // smithproxy's "ssli": TLS that is being inspected
	UDP              Transport = "udp"
	Unix             Transport = "unix" // smithproxy's "ux"
	SSH              Transport = "ssh"
	QUIC             Transport = "quic" // smithproxy's "mf": a QUIC or HTTP/3 stream
	TransportUnknown Transport = "unknown"
)

// maxTransportBytes bounds the transport in a label. Those of smithproxy have two to four characters.
const maxTransportBytes = 16

// transportOf returns the transport for its name in a label. An unknown name of the form [a-z0-9]+ is kept.
func transportOf(name string) Transport {
	switch name {
	case "ssli":
		return TLS
	case "ux":
		return Unix
	case "mf":
		return QUIC
	}
	if name == "" || len(name) > maxTransportBytes {
		return TransportUnknown
	}
	for i := range len(name) {
		if c := name[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return TransportUnknown
		}
	}
	return Transport(name)
}

// Endpoint is one side of a session. The zero value is an unknown side.
type Endpoint struct {
	Transport Transport
	// Host usually is an address, without brackets; "" if the side is unknown.
	Host string
	Port uint16
}

// Known reports whether the label has the side.
func (e Endpoint) Known() bool { return e.Host != "" }

// Addr returns the host as an IP address; ok is false if it is none.
func (e Endpoint) Addr() (addr netip.Addr, ok bool) {
	addr, err := netip.ParseAddr(e.Host)
	return addr, err == nil
}

// Session is a parsed session label, `<left>+<right>`: the client and the server side.
type Session struct {
	Client, Server Endpoint
}

// Complete reports whether both sides are known.
func (s Session) Complete() bool { return s.Client.Known() && s.Server.Known() }

// TransportOr returns the transport that is stated elsewhere, or else that of the label.
func (s Session) TransportOr(stated Transport) Transport {
	if stated != "" && stated != TransportUnknown {
		return stated
	}
	return s.Transport()
}

// Transport returns the transport of the server side, or of the client side if the server is unknown.
func (s Session) Transport() Transport {
	switch {
	case s.Server.Known():
		return s.Server.Transport
	case s.Client.Known():
		return s.Client.Transport
	default:
		return TransportUnknown
	}
}

// SameConnection reports whether two labels can be of one connection: client host and port are equal, and so is the
// server if both have it. Transports are not compared, because that of a connection can change from tcp to ssli.
func (s Session) SameConnection(o Session) bool {
	if !s.Client.Known() || s.Client.Host != o.Client.Host || s.Client.Port != o.Client.Port {
		return false
	}
	if !s.Server.Known() || !o.Server.Known() {
		return true
	}
	return s.Server.Host == o.Server.Host && s.Server.Port == o.Server.Port
}

// ParseSession parses a session label. A side that is unknown (`0:0`, `?:…`) or invalid is zero; in an invalid label
// both are.
//
// IPv6 hosts have no brackets, so the port follows the last colon. A label can begin with a socket number:
// `7::tcp_10.0.0.1:1+tcp_10.0.0.2:2`.
func ParseSession(label string) Session {
	left, right, ok := strings.Cut(label, "+")
	if !ok {
		return Session{}
	}
	return Session{Client: parseSide(left[socketNumber(left):]), Server: parseSide(right)}
}

// socketNumber is the length of the socket number at the beginning of a label, with its colons; 0 without one.
func socketNumber(left string) int {
	if number, _, ok := strings.Cut(left, "::"); ok && digits(number) {
		return len(number) + len("::")
	}
	return 0
}

// sideParts are the parts of a side that is understood: <transport>_<host>:<port>.
func sideParts(side string) (transport, host string, port uint16, ok bool) {
	name, address, ok := strings.Cut(side, "_")
	if !ok || strings.HasPrefix(name, "?:") {
		return "", "", 0, false
	}
	colon := strings.LastIndexByte(address, ':')
	if colon <= 0 {
		return "", "", 0, false
	}
	number, err := strconv.ParseUint(address[colon+1:], 10, 16)
	if err != nil {
		return "", "", 0, false
	}
	return name, address[:colon], uint16(number), true
}

func parseSide(side string) Endpoint {
	transport, host, port, ok := sideParts(side)
	if !ok {
		return Endpoint{}
	}
	return Endpoint{Transport: transportOf(transport), Host: host, Port: port}
}

// unknownSide is a side of a label that is not known yet.
const unknownSide = "0:0"

// RewriteClient returns the label with the client's host replaced by what rewrite returns for it. The parts of a
// label that are not understood may hold the client's address: they are replaced as well. The server's side and both
// ports stay. rewrite must not return a text with a "+" in it; without one, equal labels stay equal.
func RewriteClient(label string, rewrite func(text string) string) string {
	left, right, ok := strings.Cut(label, "+")
	if !ok {
		return rewriteUnknown(label, rewrite)
	}
	n := socketNumber(left)
	client := rewriteSide(left[n:], rewrite, rewrite)
	server := rewriteSide(right, func(host string) string { return host }, rewrite)
	if client == left[n:] && server == right {
		return label
	}
	return left[:n] + client + "+" + server
}

// rewriteSide replaces the host of a side, or the whole of one that is not understood.
func rewriteSide(side string, host, unknown func(string) string) string {
	transport, before, _, ok := sideParts(side)
	if !ok {
		return rewriteUnknown(side, unknown)
	}
	after, port := host(before), side[len(transport)+len("_")+len(before):]
	switch {
	case transportOf(transport) == TransportUnknown:
		transport = string(TransportUnknown)
	case after == before:
		return side
	}
	return transport + "_" + after + port
}

// rewriteUnknown replaces a text that is not understood.
func rewriteUnknown(text string, rewrite func(string) string) string {
	if text == "" || text == unknownSide {
		return text
	}
	return rewrite(text)
}

// WithoutClient returns the label with its client's side unknown; "" for a label that is not understood.
func WithoutClient(label string) string {
	_, right, ok := strings.Cut(label, "+")
	if _, _, _, known := sideParts(right); !ok || !known {
		return ""
	}
	return unknownSide + "+" + right
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
