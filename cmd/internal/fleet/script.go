package fleet

import (
	"net/netip"
	"strconv"
	"time"
)

// Mode is how a connection reaches the proxy.
type Mode string

// The modes of a connection.
const (
	Transparent Mode = "transparent"
	SOCKS       Mode = "socks"
	HTTPConnect Mode = "connect"
)

// order is the order in which a connection's events are sent.
type order int

const (
	inOrder order = iota
	stopBeforeStart
	infoBeforeStop
	infoBeforeStart
)

// script is everything one connection will do and meet, decided before it
// starts, so that nothing random is left to the moment.
type script struct {
	gap     time.Duration // to the arrival of the next connection, at speed 1
	restart bool          // the proxy restarts before it
	garbage garbage       // a request that comes beside it

	mode      Mode
	tls       bool   // TLS is inspected
	transport string // tcp, udp, ssh or mf (a QUIC stream)
	client    netip.AddrPort
	server    netip.AddrPort
	failed    bool // the server could not be reached

	sni          string
	policy       int // of the matched rule, or policyImplicit
	ja4ch        string
	ja4sh        string
	ja4IgnoreSNI bool // ja4ch does not depend on whether there was a name
	app          string
	details      []string
	ja4h         []string
	signatures   []string
	up, down     uint64 // bytes
	statistics   bool
	asks         bool
	entropyUp    sample
	entropyDown  sample
	skewNull     bool // the proxy could not compute it
	content      []content
	sinkhole     Sinkhole

	duration    time.Duration // from the first data to the stop
	negotiation time.Duration // of SOCKS and HTTP CONNECT
	listedAfter time.Duration // until the lists of the pings hold it
	lingers     time.Duration // in those lists after its stop (UDP)
	infoDelay   time.Duration // after the stop
	order       order
	orderGap    time.Duration // by how much the later event comes late

	lateStart, lostStop       bool
	silentEnd                 bool // the proxy sends no stop
	access, start, stop, info tries
}

// content is one connection-content message.
type content struct {
	side string // L or R
	size int    // bytes of payload
}

// step is something a connection does at a time after another.
type step struct {
	after time.Duration
	op    op
}

// op is what a step does.
type op int

const (
	opStart op = iota
	opNegotiated
	opContent
	opStop
	opInfo
)

// label is the session label. A side that is not known yet is 0:0, and IPv6
// hosts have no brackets.
func label(transport string, client, server netip.AddrPort) string {
	b := make([]byte, 0, 96)
	b = appendSide(b, transport, client)
	b = append(b, '+')
	if !server.IsValid() {
		return string(append(b, "0:0"...))
	}
	return string(appendSide(b, transport, server))
}

func appendSide(b []byte, transport string, a netip.AddrPort) []byte {
	b = append(b, transport...)
	b = append(b, '_')
	b = a.Addr().AppendTo(b)
	b = append(b, ':')
	return strconv.AppendUint(b, uint64(a.Port()), 10)
}

// policyImplicit is the policy of a connection that passed without a rule.
const policyImplicit = 65500

// startLabel is the label of the start: over SOCKS and HTTP CONNECT the server is
// not known yet, and neither is that TLS will follow. The label of UDP over SOCKS
// is assumed to be complete, as its first datagram names the server.
func (s *script) startLabel() string {
	if s.mode != Transparent && s.transport == "tcp" {
		return label("tcp", s.client, netip.AddrPort{})
	}
	return s.stopLabel()
}

// stopLabel is the complete label.
func (s *script) stopLabel() string {
	if s.tls {
		return label("ssli", s.client, s.server)
	}
	return label(s.transport, s.client, s.server)
}

// accessLabel is the label of access-request: complete, but over SOCKS and HTTP
// CONNECT from before the TLS handshake.
func (s *script) accessLabel() string {
	if s.mode != Transparent {
		return label(s.transport, s.client, s.server)
	}
	return s.stopLabel()
}

// startTransport is the transport in words, as the start says it.
func (s *script) startTransport() string {
	if s.tls && s.mode == Transparent {
		return "tls"
	}
	if s.transport == "mf" {
		return "quic"
	}
	return s.transport
}

// sinks says whether a sink feature is on.
func (s *script) sinks() bool { return s.sinkhole.Left || s.sinkhole.Right }

// listable says whether the lists of pings may hold the connection.
func (s *script) listable() bool {
	return s.transport != "mf" && s.mode != HTTPConnect && !(s.mode == SOCKS && s.transport == "udp")
}

// opening is what happens from the accept on, up to where a connection over SOCKS
// or HTTP CONNECT may ask. A transparent one has asked before.
func (s *script) opening() []step {
	var steps []step
	if !s.startDelayed() {
		steps = append(steps, step{0, opStart})
	}
	if s.mode != Transparent {
		return append(steps, step{s.negotiation, opNegotiated})
	}
	return append(steps, s.closing()...)
}

// startDelayed says whether the start comes with the closing, late or
// overtaken. One that is to ask over SOCKS or HTTP CONNECT has sent it before.
func (s *script) startDelayed() bool {
	if s.mode != Transparent && s.asks {
		return false
	}
	return s.lateStart || s.order == stopBeforeStart || (s.order == infoBeforeStart && s.sendsInfo())
}

// closing is what happens from the first data on.
func (s *script) closing() []step {
	var steps []step
	if len(s.content) > 0 {
		steps = append(steps, step{s.duration / 2, opContent})
	}
	stop, info := s.duration, s.duration+s.infoDelay
	if s.order == infoBeforeStop && s.sendsInfo() {
		// The proxy object is gone before the thread that sends the stop gets to it.
		info = stop
		stop += s.orderGap
	}
	steps = append(steps, step{stop, opStop})
	if s.sendsInfo() {
		steps = append(steps, step{info, opInfo})
	}
	if s.startDelayed() {
		start := stop + s.orderGap
		switch {
		case s.lateStart:
			start = stop + s.orderGap // the delay is in the gap
		case s.order == infoBeforeStart:
			start = info + s.orderGap
		}
		steps = append(steps, step{start, opStart})
	}
	return steps
}

// rejection is what happens to a denied connection: neither start nor stop, only
// an info. Over SOCKS and HTTP CONNECT the object lives on for as long as it may.
func (s *script) rejection(infoDelayMax time.Duration) []step {
	if s.mode != Transparent {
		return []step{{infoDelayMax, opInfo}}
	}
	return []step{{min(s.infoDelay, infoDelayMax), opInfo}}
}

// hasStatistics says whether an info carries statistics: without data there are
// none.
func (s *script) hasStatistics() bool {
	return s.statistics && s.up+s.down > 0
}

// sendsInfo says whether an accepted connection sends connection-info.
func (s *script) sendsInfo() bool {
	return s.asks || s.hasStatistics() || s.sinks()
}

// labelsInfo says whether the info, if there is one, has the session label. One of
// the HOWTO form has none, nor has one with nothing but a sinkhole.
func (s *script) labelsInfo(form Form) bool {
	return !s.sendsInfo() || form == FormCurrent && (s.asks || s.hasStatistics())
}

// skew is the flow's, in [-1, 1].
func (s *script) skew() float64 {
	if s.up+s.down == 0 {
		return 0
	}
	return (float64(s.down) - float64(s.up)) / (float64(s.down) + float64(s.up))
}
