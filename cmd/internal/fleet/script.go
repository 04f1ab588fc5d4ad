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

// script has everything that a connection does and that happens to it. It is drawn before the connection starts, so that
// it does not depend on timing.
type script struct {
	gap     time.Duration // to the arrival of the next connection, at speed 1
	restart bool          // the proxy restarts before it
	garbage garbage       // an invalid request that accompanies it

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
	staysListed time.Duration // in those lists after its stop (UDP)
	infoDelay   time.Duration // after the stop
	order       order
	orderGap    time.Duration // delay of the later event

	lateStart, lostStop       bool
	silentEnd                 bool // the proxy sends no stop
	access, start, stop, info tries
}

// content is one connection-content message.
type content struct {
	side string // L or R
	size int    // bytes of payload
}

// step is an operation of a connection after a delay.
type step struct {
	after time.Duration
	op    op
}

// op is an operation of a connection.
type op int

const (
	opStart op = iota
	opNegotiated
	opContent
	opStop
	opInfo
)

// label returns the session label. A side that is not known yet is 0:0. IPv6 hosts have no brackets.
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

// startLabel returns the label in the start: over SOCKS and HTTP CONNECT neither the server nor TLS is known yet. The
// label of UDP over SOCKS is assumed to be complete, because the first datagram has the server.
func (s *script) startLabel() string {
	if s.mode != Transparent && s.transport == "tcp" {
		return label("tcp", s.client, netip.AddrPort{})
	}
	return s.stopLabel()
}

// stopLabel returns the complete label.
func (s *script) stopLabel() string {
	if s.tls {
		return label("ssli", s.client, s.server)
	}
	return label(s.transport, s.client, s.server)
}

// accessLabel returns the label in access-requests: complete, but over SOCKS and HTTP CONNECT without TLS.
func (s *script) accessLabel() string {
	if s.mode != Transparent {
		return label(s.transport, s.client, s.server)
	}
	return s.stopLabel()
}

// startTransport returns the transport in the start, by the name in the report.
func (s *script) startTransport() string {
	if s.tls && s.mode == Transparent {
		return "tls"
	}
	if s.transport == "mf" {
		return "quic"
	}
	return s.transport
}

// sinks reports whether a sink feature is on.
func (s *script) sinks() bool { return s.sinkhole.Left || s.sinkhole.Right }

// listable reports whether the lists of pings can have the connection.
func (s *script) listable() bool {
	return s.transport != "mf" && s.mode != HTTPConnect && !(s.mode == SOCKS && s.transport == "udp")
}

// opening returns the steps from the accept to the access-request of a connection over SOCKS or HTTP CONNECT. A
// transparent one has sent its request before.
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

// startDelayed reports whether the start is sent with the closing steps, late or reordered. A connection over SOCKS or
// HTTP CONNECT with an access-request has sent it before.
func (s *script) startDelayed() bool {
	if s.mode != Transparent && s.asks {
		return false
	}
	return s.lateStart || s.order == stopBeforeStart || (s.order == infoBeforeStart && s.sendsInfo())
}

// closing returns the steps from the first data on.
func (s *script) closing() []step {
	var steps []step
	if len(s.content) > 0 {
		steps = append(steps, step{s.duration / 2, opContent})
	}
	stop, info := s.duration, s.duration+s.infoDelay
	if s.order == infoBeforeStop && s.sendsInfo() {
		// The proxy object is destroyed before the thread sends the stop.
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

// rejection returns the steps of a denied connection: no start and no stop, only an info. Over SOCKS and HTTP CONNECT the
// object lives for the longest delay.
func (s *script) rejection(infoDelayMax time.Duration) []step {
	if s.mode != Transparent {
		return []step{{infoDelayMax, opInfo}}
	}
	return []step{{min(s.infoDelay, infoDelayMax), opInfo}}
}

// hasStatistics reports whether an info has statistics. There are none without data.
func (s *script) hasStatistics() bool {
	return s.statistics && s.up+s.down > 0
}

// sendsInfo reports whether an accepted connection sends connection-info.
func (s *script) sendsInfo() bool {
	return s.asks || s.hasStatistics() || s.sinks()
}

// labelsInfo reports whether the info, if there is one, has the session label. An info in the HOWTO form, or with only a
// sinkhole, has none.
func (s *script) labelsInfo(form Form) bool {
	return !s.sendsInfo() || form == FormCurrent && (s.asks || s.hasStatistics())
}

// skew returns the skew of the flow, in [-1, 1].
func (s *script) skew() float64 {
	if s.up+s.down == 0 {
		return 0
	}
	return (float64(s.down) - float64(s.up)) / (float64(s.down) + float64(s.up))
}
