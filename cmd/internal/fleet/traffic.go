package fleet

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"
)

// The rates of reordering, measured with 6,154 connections under load on two cores.
const (
	shareStopBeforeStart = 25.0 / 6154
	shareInfoBeforeStop  = 314.0 / 6154
	shareInfoBeforeStart = 14.0 / 6154
	orderGapMax          = 37 * time.Millisecond
)

// traffic draws the scripts of one proxy's connections. They depend only on the configuration and the proxy's number.
type traffic struct {
	cfg      Config
	behavior behavior
	form     Form
	plain    bool // no policy feature
	// quic is the last stream of a QUIC connection, streams is the number of streams still to draw.
	quic    *script
	streams int
	rand    *rand.Rand
	names   *rand.Zipf
	clients *rand.Zipf
	matches *rand.Zipf
	port    uint16
}

func newTraffic(cfg Config, index int) *traffic {
	r := rand.New(rand.NewPCG(cfg.Seed, uint64(index)))
	zipf := func(n int) *rand.Zipf { return rand.NewZipf(r, 1.1, 2, uint64(n-1)) }
	return &traffic{
		cfg:      cfg,
		behavior: behaviors[cfg.Generation],
		form:     cfg.form(index),
		plain:    index >= cfg.Proxies-cfg.PlainProxies,
		rand:     r,
		names:    zipf(cfg.DistinctSNIs),
		clients:  zipf(cfg.DistinctClients),
		matches:  zipf(cfg.DistinctSignatures),
		port:     uint16(r.IntN(1000)),
	}
}

// chance returns true with the given probability.
func (t *traffic) chance(share float64) bool { return t.rand.Float64() < share }

// next draws a connection.
func (t *traffic) next() *script {
	r, cfg := t.rand, &t.cfg
	s := &script{mode: Transparent, transport: "tcp", policy: r.IntN(6)}
	s.gap = time.Duration(r.ExpFloat64() * float64(cfg.Proxies) * float64(time.Second) / max(cfg.Rate, 1e-6))
	s.restart = t.chance(cfg.RestartShare)
	if t.chance(cfg.Faults.Garbage) {
		s.garbage = garbageNone + 1 + garbage(r.IntN(int(garbageKinds-1)))
	}
	name := t.names.Uint64()
	isHostile := t.chance(cfg.Faults.Hostile)
	t.pickApp(s, name, isHostile)
	t.pickAddresses(s, name)
	t.pickPayload(s)
	t.pickFeatures(s)
	t.pickTimes(s)
	t.pickFaults(s)
	t.pickEnd(s)
	s.skewNull = isHostile && t.chance(0.3)
	return s
}

// ordinary draws a connection without faults or policy features.
func (t *traffic) ordinary() *script {
	s := t.next()
	s.mode, s.asks, s.failed, s.lateStart, s.lostStop = Transparent, false, false, false, false
	s.order, s.content = inOrder, nil
	s.silentEnd, s.sinkhole = false, Sinkhole{}
	s.start, s.stop, s.info = tries{}, tries{}, tries{}
	return s
}

// pickApp draws the application, and what the L7 engine saw of it.
func (t *traffic) pickApp(s *script, name uint64, isHostile bool) {
	r := t.rand
	host := sni(name)
	if isHostile {
		host = hostile(r)
	}
	scheme := "http"
	switch p, special := r.Float64(), r.Float64(); {
	case t.streams > 0:
		t.streams--
		s.transport = "mf"
	case t.behavior.ssh && special < t.cfg.SSHShare:
		s.transport = "ssh"
	case t.behavior.quic && special < t.cfg.SSHShare+t.cfg.QUICShare && special >= t.cfg.SSHShare:
		s.transport, t.quic, t.streams = "mf", nil, r.IntN(4)
	case p < 0.45:
		s.app, s.tls, scheme = "http2", true, "https"
	case p < 0.58:
		s.app, s.tls, scheme = "http1", true, "https"
	case p < 0.70:
		s.app = "http1"
	case p < 0.85:
		s.app, s.transport = "dns", "udp"
	case p < 0.92:
		s.tls = true
	case p < 0.97:
	default:
		s.transport = "udp"
	}
	if s.tls {
		if !t.chance(0.03) {
			s.sni = host
		}
		s.ja4ch = fmt.Sprintf("t13d31%02dh2_e8f1e7e78f70_%012x", 10+r.IntN(8), r.Uint64N(1<<20))
		s.ja4sh = fmt.Sprintf("t130200_1301_%012x", r.Uint64N(1<<16))
		s.ja4IgnoreSNI = t.chance(0.1)
	}
	switch s.app {
	case "http1", "http2":
		requests := int(size(r, 0, 1.5))
		s.details, s.ja4h = make([]string, 0, requests), make([]string, 0, requests+1)
		for i := range requests {
			if !t.chance(0.03) { // the engine misses some
				s.details = append(s.details, fmt.Sprintf("%s://%s/%c/%d?q=%d", scheme, host, 'a'+rune(r.IntN(26)), r.IntN(1000), i))
			}
			version := "20"
			if s.app == "http1" {
				version = "11"
			}
			s.ja4h = append(s.ja4h, "ge"+version+"nn030000_e97efe1b4506_000000000000_000000000000")
		}
		if s.app == "http1" {
			s.signatures = []string{"www/http/request", "www/http/get|post+reply"}
		} else {
			s.signatures = []string{"www/http2/start"}
		}
		if t.chance(0.5) {
			s.signatures = append(s.signatures, signature(t.matches.Uint64()))
		}
		if isHostile {
			s.signatures = append(s.signatures, hostile(r))
		}
	case "dns":
		s.details = []string{}
	}
	if t.form == FormHOWTO {
		// That form has fewer fields, and the report must not contain what is not sent.
		s.ja4ch, s.ja4sh, s.ja4h, s.signatures = "", "", nil, nil
		s.ja4IgnoreSNI = false
	}
}

// pickAddresses draws client, server and mode. The server depends on the name. Streams of a QUIC connection share client
// and server.
func (t *traffic) pickAddresses(s *script, name uint64) {
	if s.transport == "mf" && t.quic != nil {
		s.client, s.server = t.quic.client, t.quic.server
		return
	}
	t.port = (t.port + 1) % 28000
	s.client = netip.AddrPortFrom(client(t.clients.Uint64()), 32768+t.port)
	port := uint16(7000)
	switch {
	case s.transport == "ssh":
		port = 22
	case s.tls, s.transport == "mf":
		port = 443
	case s.app == "http1":
		port = 8080
	case s.app == "dns":
		port = 53
	}
	s.server = netip.AddrPortFrom(server(name, s.client.Addr().Is6()), port)
	s.failed = s.transport == "tcp" && t.chance(0.02)
	socks, connect := t.chance(t.cfg.SOCKSShare), t.chance(t.cfg.ConnectShare)
	socksUDP := t.chance(t.cfg.SOCKSUDPShare)
	switch {
	case socks && s.transport == "tcp" && !s.failed,
		socksUDP && s.transport == "udp" && s.app == "":
		s.mode = SOCKS
	case connect && t.behavior.httpConnect && s.tls && !s.failed:
		s.mode = HTTPConnect
	}
	if s.transport == "mf" {
		t.quic = s
	}
}

// pickPayload draws sizes and entropies.
func (t *traffic) pickPayload(s *script) {
	r := t.rand
	s.up, s.down = size(r, 1.8, 5.5), size(r, 1.8, 8.5)
	switch {
	case s.app == "dns":
		s.up, s.down = size(r, 1.5, 2), size(r, 1.6, 2.7)
	case s.app == "" && t.chance(0.2):
		s.up, s.down = 0, 0
	case s.app == "" && t.chance(0.2):
		s.down = 0
	}
	if s.failed {
		s.up, s.down = 0, 0
		s.app, s.details, s.ja4h, s.signatures = "", nil, nil, nil
		s.tls, s.sni, s.ja4ch, s.ja4sh = false, "", "", ""
	}
	encrypted := s.app == "" || t.chance(0.3)
	s.entropyUp, s.entropyDown = newSample(r, s.up, t.behavior.readSample, s.app == ""), newSample(r, s.down, t.behavior.readSample, encrypted)
	if t.chance(t.cfg.ContentShare) && s.up > 0 {
		big := 0
		if t.chance(0.05) {
			big = 1 << 20
		}
		s.content = []content{{"L", int(min(s.up, 4096))}, {"R", int(min(s.down, 16384)) + big}}
	}
}

// pickFeatures draws the policy features of the connection.
func (t *traffic) pickFeatures(s *script) {
	statistics, asks, sinks := t.chance(t.cfg.StatisticsShare), t.chance(t.cfg.AccessShare), t.chance(t.cfg.SinkholeShare)
	left, amount, gathers := t.chance(0.5), t.rand.IntN(4096), t.chance(0.1)
	if t.chance(t.cfg.ImplicitShare) {
		s.policy = policyImplicit
	}
	if s.transport == "mf" && t.quic != s {
		s.policy, asks = t.quic.policy, t.quic.asks // a policy applies to a QUIC connection as a whole
	}
	if t.plain || s.policy == policyImplicit {
		return
	}
	s.asks = asks
	// The bytes of SSH bypass the filters that gather statistics.
	s.statistics = statistics && (s.transport != "ssh" || gathers)
	if !sinks {
		return
	}
	s.sinkhole = Sinkhole{Left: left, Right: !left}
	if left {
		s.sinkhole.SunkenLeft = min(amount, int(s.up))
	} else {
		s.sinkhole.SunkenRight = min(amount, int(s.down))
	}
}

// pickEnd draws whether the connection sends a stop.
func (t *traffic) pickEnd(s *script) {
	s.silentEnd = t.chance(t.cfg.SilentEndShare) && (s.transport == "ssh" || s.transport == "mf")
}

// pickTimes draws durations and the order of events.
func (t *traffic) pickTimes(s *script) {
	r, cfg := t.rand, &t.cfg
	// From a millisecond upwards, all orders of magnitude are equally likely.
	longest := math.Log10(max(cfg.DurationMax.Seconds()*1000, 1))
	s.duration = min(time.Duration(math.Pow(10, longest*r.Float64())*float64(time.Millisecond)), cfg.DurationMax)
	switch {
	case s.failed:
		s.duration = 0
	case s.app == "dns":
		s.duration = min(20*time.Second, cfg.DurationMax)
	}
	s.negotiation = time.Duration(r.Int64N(int64(10 * time.Millisecond)))
	s.listedAfter = time.Duration(r.Int64N(int64(2 * time.Millisecond)))
	staysListed := time.Duration(r.Int64N(int64(3 * time.Second)))
	if s.transport == "udp" {
		s.staysListed = min(staysListed, cfg.DurationMax)
	}
	delayed, delay := t.chance(0.15), r.Float64()
	s.infoDelay = min(time.Duration(delay*float64(time.Millisecond)), cfg.InfoDelayMax)
	if delayed {
		s.infoDelay = time.Duration(delay * float64(cfg.InfoDelayMax))
	}
	s.orderGap = time.Duration(r.Int64N(int64(orderGapMax)))
	p := r.Float64() / max(cfg.Reorder, 1e-9)
	// The events of a refused connection are often reordered: its start and stop are sent at the same time.
	raced := s.failed && t.chance(0.3*min(1, cfg.Reorder))
	switch {
	case raced || p < shareStopBeforeStart:
		s.order = stopBeforeStart
	case p < shareStopBeforeStart+shareInfoBeforeStop:
		s.order = infoBeforeStop
	case p < shareStopBeforeStart+shareInfoBeforeStop+shareInfoBeforeStart:
		s.order = infoBeforeStart
	}
}

// pickFaults draws the faults of the connection and of its events.
func (t *traffic) pickFaults(s *script) {
	f := t.cfg.Faults
	s.access, s.start = f.tries(t.rand), f.tries(t.rand)
	s.stop, s.info = f.tries(t.rand), f.tries(t.rand)
	s.start.never, s.info.never = t.chance(f.LostStart), t.chance(f.LostInfo)
	s.lostStop = t.chance(f.LostStop) && len(s.details) > 0
	if t.chance(f.LateStart) && !(s.mode != Transparent && s.asks) {
		s.lateStart, s.orderGap, s.order = true, f.LateStartDelay, inOrder
	}
}
