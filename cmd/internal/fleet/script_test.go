package fleet

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// plainScript is an HTTP connection of the captures.
func plainScript() *script {
	return &script{
		mode: Transparent, transport: "tcp", policy: 2, app: "http1",
		client: addr("10.77.1.2:37070"), server: addr("10.77.2.2:8080"),
		details:    []string{"http://10.77.2.2:8080/a"},
		ja4h:       []string{"ge11nn030000_fe444ad14866_000000000000_000000000000"},
		signatures: []string{"www/http/request"},
		up:         88, down: 129, duration: 3 * time.Millisecond, negotiation: time.Millisecond,
		entropyUp:   sample{bytes: 88, entropy: 4.7, topByte: 46, topCount: 6, topRatio: 6.0 / 88},
		entropyDown: sample{bytes: 129, entropy: 4.8, topByte: 32, topCount: 12, topRatio: 12.0 / 129},
	}
}

func with(change func(*script)) *script {
	s := plainScript()
	change(s)
	return s
}

const (
	ask    = "access-request"
	start  = "connection-start"
	stop   = "connection-stop"
	info   = "connection-info"
	greets = "neighbor"
)

func TestScriptsOnTheWire(t *testing.T) {
	tests := []struct {
		name     string
		script   *script
		answer   string // to access-request
		want     []string
		expected string
	}{
		{"plain", plainScript(), "", []string{greets, start, stop}, "stop"},
		{"statistics", with(func(s *script) { s.statistics = true }), "", []string{greets, start, stop, info}, "stop"},
		{"statistics without data", with(func(s *script) { s.statistics, s.up, s.down = true, 0, 0 }), "",
			[]string{greets, start, stop}, "stop"},
		{"accept", with(func(s *script) { s.asks = true }), `{"access-response":"accept"}`,
			[]string{ask, greets, start, stop, info}, "stop"},
		{"reject", with(func(s *script) { s.asks = true }), `{"access-response":"reject"}`,
			[]string{ask, greets, info}, "rejected"},
		{"SOCKS", with(func(s *script) { s.mode = SOCKS }), "", []string{greets, start, stop}, "stop"},
		{"SOCKS accept", with(func(s *script) { s.mode, s.asks = SOCKS, true }), `"yes"`,
			[]string{greets, start, ask, ask, stop, info}, "stop"},
		{"SOCKS reject", with(func(s *script) { s.mode, s.asks = SOCKS, true }), `{"access-response":"reject"}`,
			[]string{greets, start, ask, ask, info}, "rejected"},
		{"DNS", with(func(s *script) {
			s.transport, s.app, s.details, s.ja4h, s.signatures = "udp", "dns", []string{}, nil, nil
		}), "", []string{greets, start, stop}, "stop"},
		{"late start", with(func(s *script) { s.lateStart = true }), "", []string{greets, stop, start}, "stop"},
		{"stop overtakes start", with(func(s *script) { s.order, s.orderGap = stopBeforeStart, 1 }), "",
			[]string{greets, stop, start}, "stop"},
		{"info overtakes stop", with(func(s *script) { s.order, s.orderGap, s.statistics = infoBeforeStop, 1, true }), "",
			[]string{greets, start, info, stop}, "stop"},
		{"info overtakes start", with(func(s *script) { s.order, s.orderGap, s.statistics = infoBeforeStart, 1, true }), "",
			[]string{greets, stop, info, start}, "stop"},
		{"a URL that is not UTF-8", with(func(s *script) { s.lostStop, s.statistics = true, true }), "",
			[]string{greets, start, info}, "lost"},
		{"lost start", with(func(s *script) { s.start.never = true }), "", []string{greets, stop}, "stop"},
		{"lost info of a reject", with(func(s *script) { s.asks, s.info.never = true, true }), `{"access-response":"reject"}`,
			[]string{ask, greets}, "none"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newReceiver(t, false, func(m received) (int, string) {
				if m.Action == ActionAccess {
					return 200, tt.answer
				}
				return 200, "{}"
			})
			cfg := quick(r.URL)
			cfg.Threads = 1 // nothing overtakes by chance
			p := newTestProxy(t, cfg)
			p.open(tt.script)
			p.pool.idle()
			playAll(p)
			var got []string
			for _, m := range r.all() {
				got = append(got, string(m.Action))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("sent %v, want %v", got, tt.want)
			}
			if len(p.archive.records) != 1 {
				t.Fatalf("%d records", len(p.archive.records))
			}
			c := p.archive.records[0]
			if c.Expected != tt.expected {
				t.Errorf("expected %q, want %q", c.Expected, tt.expected)
			}
			if asked := slices.Contains(tt.want, ask); c.Asked != asked || (asked && string(c.Echo) != tt.answer) {
				t.Errorf("asked %v, echo %s", c.Asked, c.Echo)
			}
		})
	}
}

func TestLabels(t *testing.T) {
	six := with(func(s *script) { s.client, s.server = addr("[fd77:1::2]:45306"), addr("[fd77:2::2]:8080") })
	socks := with(func(s *script) { s.mode, s.tls = SOCKS, true })
	tests := []struct{ got, want string }{
		{plainScript().startLabel(), "tcp_10.77.1.2:37070+tcp_10.77.2.2:8080"},
		{six.startLabel(), "tcp_fd77:1::2:45306+tcp_fd77:2::2:8080"},
		{socks.startLabel(), "tcp_10.77.1.2:37070+0:0"},
		{socks.accessLabel(), "tcp_10.77.1.2:37070+tcp_10.77.2.2:8080"},
		{socks.stopLabel(), "ssli_10.77.1.2:37070+ssli_10.77.2.2:8080"},
		{socks.startTransport(), "tcp"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %s, want %s", tt.got, tt.want)
		}
	}
}

func TestSameSeedSameScripts(t *testing.T) {
	cfg := quick("http://127.0.0.1")
	cfg.Faults = cfg.Faults.WithMix()
	cfg.RestartShare, cfg.ContentShare = 0.1, 0.1
	draw := func(seed uint64, index int) string {
		cfg.Seed = seed
		traffic := newTraffic(cfg, index)
		var all string
		for range 300 {
			all += fmt.Sprintf("%+v\n", *traffic.next())
		}
		return all
	}
	first, again := draw(7, 1), draw(7, 1)
	if first != again {
		t.Error("the same seed gives other scripts")
	}
	if first == draw(8, 1) || first == draw(7, 2) {
		t.Error("another seed or proxy gives the same scripts")
	}
}

func TestTrafficKeepsItsShares(t *testing.T) {
	const n = 20_000
	cfg := quick("http://127.0.0.1")
	cfg.AccessShare, cfg.StatisticsShare, cfg.SOCKSShare = 0.25, 0.6, 0.5
	traffic := newTraffic(cfg, 0)
	count := make(map[string]int)
	for range n {
		s := traffic.next()
		for name, is := range map[string]bool{
			"asks": s.asks, "statistics": s.statistics, "socks": s.mode == SOCKS, "six": s.client.Addr().Is6(),
			"udp": s.transport == "udp", "tls": s.tls, "refused": s.failed,
			"info before stop": s.order == infoBeforeStop,
		} {
			if is {
				count[name]++
			}
		}
		for _, e := range []sample{s.entropyUp, s.entropyDown} {
			if e.entropy < 0 || e.entropy > 8 || e.topRatio > 1 || e.undefined != (e.bytes == 0) {
				t.Fatalf("no such sample: %+v", e)
			}
		}
	}
	for name, limits := range map[string][2]float64{
		"asks": {.23, .27}, "statistics": {.58, .62}, "socks": {.35, .45}, "six": {.1, .4}, "udp": {.15, .21},
		"tls": {.6, .7}, "refused": {.01, .03}, "info before stop": {.04, .06},
	} {
		if got := float64(count[name]) / n; got < limits[0] || got > limits[1] {
			t.Errorf("share of %s is %v, want it in %v", name, got, limits)
		}
	}
}
