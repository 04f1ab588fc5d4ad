package fleet

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"smithproxy_exporter/exporter/capture"
)

// recorder is a receiver without a network. It remembers the bodies of what it
// answered.
type recorder struct {
	answer func(received) (answer, error)

	mu       sync.Mutex
	requests []received
}

var acknowledged = answer{status: 200, body: []byte("{}")}

func (r *recorder) exchange(ctx context.Context, req request) (answer, error) {
	var m received
	if err := json.Unmarshal(req.body, &m); err != nil {
		return answer{}, err
	}
	m.body = string(req.body)
	r.mu.Lock()
	r.requests = append(r.requests, m)
	r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return answer{}, err
	}
	if r.answer == nil {
		return acknowledged, nil
	}
	return r.answer(m)
}

// take returns the actions of what came since the last call.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var actions []string
	for _, m := range r.requests {
		actions = append(actions, string(m.Action))
	}
	r.requests = nil
	return actions
}

// generationConfig is a configuration for a proxy that newRecordedProxy makes.
func generationConfig(g Generation) Config {
	cfg := quick("http://192.0.2.1")
	cfg.Generation = g
	cfg.Threads = 1 // nothing overtakes by chance
	return cfg
}

// newRecordedProxy is a proxy that sends to a recorder.
func newRecordedProxy(t *testing.T, cfg Config, answer func(received) (answer, error)) (*proxy, *recorder) {
	t.Helper()
	p := newTestProxy(t, cfg)
	r := &recorder{answer: answer}
	p.exchange = r.exchange
	return p, r
}

// answerAccess answers access-requests as given and acknowledges all else.
func answerAccess(status int, body string, err error) func(received) (answer, error) {
	return func(m received) (answer, error) {
		if m.Action == ActionAccess {
			return answer{status: status, body: []byte(body)}, err
		}
		return acknowledged, nil
	}
}

// fixture returns a body of testdata/newer-messages.jsonl by its name.
func fixture(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/newer-messages.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var f struct{ Name, Body string }
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatal(err)
		}
		if f.Name == name {
			return f.Body
		}
	}
	t.Fatalf("no fixture %s", name)
	return ""
}

func TestMessagesAreTheFixtures(t *testing.T) {
	const source, boot = "sx-1", "Proxy-1234ABCD-SID-"
	http := func(change func(*script)) *script {
		s := &script{mode: Transparent, transport: "tcp", client: addr("10.0.0.2:50000"), server: addr("192.0.2.10:80")}
		if change != nil {
			change(s)
		}
		return s
	}
	ssh := http(func(s *script) {
		s.transport, s.client, s.server = "ssh", addr("10.0.0.2:50001"), addr("192.0.2.10:22")
	})
	connect := http(func(s *script) {
		s.mode, s.tls, s.policy = HTTPConnect, true, 2
		s.client, s.server = addr("10.0.0.2:50003"), addr("192.0.2.10:443")
		s.sni, s.ja4ch, s.ja4sh = "www.example.com", "t13d3112h2_e8f1e7e78f70_b26ce05bbdd6", "t130200_1301_a56c5b993250"
		s.app, s.details, s.signatures = "http2", []string{"https://www.example.com/"}, []string{"www/http2/start"}
		s.up, s.down = 206, 4096
	})
	quic := http(func(s *script) {
		s.transport, s.client, s.server = "mf", addr("10.0.0.2:50002"), addr("192.0.2.10:443")
	})
	implicit := http(func(s *script) {
		s.client, s.server = addr("[2001:db8::2]:50004"), addr("[2001:db8:1::1]:22")
		s.policy, s.up, s.down = policyImplicit, 120, 9000
	})
	oneWay := http(func(s *script) {
		s.statistics, s.up = true, 4096
		s.entropyUp = sample{bytes: 562, entropy: 7.5, topByte: 46, topCount: 9, topRatio: 0.016}
		s.entropyDown = sample{undefined: true}
	})
	asking := http(func(s *script) { s.asks = true })
	sinking := http(func(s *script) { s.sinkhole = Sinkhole{Left: true, SunkenLeft: 512} })
	reused := http(func(s *script) { s.up, s.down = 10, 20 })
	later := http(func(s *script) { s.client, s.server = addr("10.0.0.9:40404"), addr("192.0.2.11:443") })
	const ptr = "Proxy-9F01-PTR-7F3A4C0012A0"

	ping := func(g Generation, instance string, further bool, open ...*connection) []byte {
		cfg := generationConfig(g)
		cfg.NamePrefix = "sx-"
		p, _ := newRecordedProxy(t, cfg, nil)
		p.instance.Store(&instance)
		for _, c := range open {
			p.presence.add(c, time.Time{})
		}
		return p.pingEvent(further).body
	}
	conn := func(id string, s *script) *connection { return &connection{id: boot + id, script: s} }
	p, _ := newRecordedProxy(t, generationConfig(Generation2026), nil)
	p.source = source

	for name, got := range map[string][]byte{
		"F1":   ping(Generation2026, "Proxy-1234ABCD", false, conn("1", http(nil)), conn("1A", ssh)),
		"F2":   ping(Generation2026, "Proxy-1234ABCD", false),
		"F3":   ping(Generation2026, "Proxy-1234ABCD", true, conn("1A", ssh)),
		"F4":   ping(GenerationPTR, "Proxy-9F01", false),
		"F5":   http(nil).startMessage(source, boot+"1"),
		"F6":   ssh.startMessage(source, boot+"1A"),
		"F7":   quic.startMessage(source, boot+"2C"),
		"F8":   connect.startMessage(source, boot+"3"),
		"F9":   connect.stopMessage(FormCurrent, source, boot+"3"),
		"F10":  implicit.stopMessage(FormCurrent, source, boot+"4"),
		"F11":  oneWay.infoMessage(FormCurrent, source, boot+"1", nil, false),
		"F12":  asking.infoMessage(FormCurrent, source, boot+"5", json.RawMessage(`{"access-response":"reject","note":"echoed"}`), true),
		"F13":  asking.infoMessage(FormCurrent, source, boot+"6", nil, true),
		"F14":  sinking.infoMessage(FormCurrent, source, boot+"7", nil, false),
		"F15":  asking.accessMessage(FormCurrent, source, boot+"1"),
		"F16":  connect.accessMessage(FormCurrent, source, boot+"3"),
		"F17":  p.neighborEvent("new", []string{"10.0.0.2"}).body,
		"F19a": http(nil).startMessage(source, ptr),
		"F19b": reused.stopMessage(FormCurrent, source, ptr),
		"F19c": later.startMessage(source, ptr),
	} {
		t.Run(name, func(t *testing.T) {
			if want := fixture(t, name); string(got) != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
	content := http(nil).contentMessage(source, boot+"1", content{"L", 5})
	if got, want := shape(t, content), shape(t, []byte(fixture(t, "F18"))); !slices.Equal(got, want) {
		t.Errorf("F18: got %v, want %v", got, want)
	}
}

// A stop with everything in it has the fingerprints in the captures' form.
func TestFingerprintsHaveTheFormOfTheCaptures(t *testing.T) {
	requests, err := capture.Read("../../../exporter/testdata/captures/https-h2.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	stop := string(requests[len(requests)-1].Body)
	cfg := quick("http://127.0.0.1")
	traffic := newTraffic(cfg, 0)
	for _, tt := range []struct{ name, pattern string }{
		{"ja4_ch", `"(t13d\d{4}h2_[0-9a-f]{12}_[0-9a-f]{12})"`},
		{"ja4_sh", `"(t\d{6}_1301_[0-9a-f]{12})"`},
		{"ja4h", `"(ge(?:11|20)nn\d{6}_[0-9a-f]{12}_0{12}_0{12})"`},
	} {
		pattern := regexp.MustCompile(tt.pattern)
		if !pattern.MatchString(stop) {
			t.Fatalf("%s: the capture has none", tt.name)
		}
		found := false
		for range 50 {
			found = found || pattern.Match(traffic.next().stopMessage(FormCurrent, "s", "i"))
		}
		if !found {
			t.Errorf("%s: no stop has one like the capture's", tt.name)
		}
	}
	if !strings.Contains(stop, `"ja4_ch_ignore_sni":false`) {
		t.Error("the capture has no ja4_ch_ignore_sni")
	}
}

func TestIDs(t *testing.T) {
	for g, pattern := range map[Generation]string{
		Generation2025: `^Proxy-[0-9A-F]{1,8}-OID-[1-9A-F][0-9A-F]*$`,
		GenerationPTR:  `^Proxy-[0-9A-F]{1,8}-PTR-[1-9A-F][0-9A-F]*$`,
		Generation2026: `^Proxy-[0-9A-F]{1,8}-SID-[1-9A-F][0-9A-F]*$`,
	} {
		t.Run(string(g), func(t *testing.T) {
			cfg := generationConfig(g)
			cfg.AddressReuseShare = 0
			p, _ := newRecordedProxy(t, cfg, nil)
			seen := make(map[string]bool)
			for range 500 {
				id, ordinal := p.ids.next(addr("10.0.0.1:1"), true)
				if !regexp.MustCompile(pattern).MatchString(id) || !strings.HasPrefix(id, p.instanceNow()+"-") {
					t.Fatalf("id is %s", id)
				}
				if seen[id] || ordinal != 1 {
					t.Fatalf("%s comes again, ordinal %d", id, ordinal)
				}
				seen[id] = true
			}
			if g == Generation2026 && (!seen[p.instanceNow()+"-SID-1"] && !seen[p.instanceNow()+"-SID-2"] || p.ids.made <= 500) {
				t.Errorf("the counter is at %d after 500 ids", p.ids.made)
			}
		})
	}
}

func TestAddressesAreReused(t *testing.T) {
	cfg := generationConfig(GenerationPTR)
	cfg.AddressReuseShare = 1
	p, r := newRecordedProxy(t, cfg, nil)
	play := func(client string, change func(*script)) {
		s := with(func(s *script) { s.client = addr(client) })
		if change != nil {
			change(s)
		}
		p.open(s)
		p.pool.idle()
		playAll(p)
	}
	play("10.77.1.2:1001", nil)
	play("10.77.1.2:1002", nil)
	play("10.77.1.2:1002", nil) // the same client port needs another id
	play("10.77.1.2:1003", func(s *script) { s.start.never, s.stop.never = true, true })
	play("10.77.1.2:1004", nil)
	play("10.77.1.2:1005", func(s *script) { s.lostStop = true }) // its end is not known
	play("10.77.1.2:1006", nil)
	p.archive.closeAll(p)
	got := make(map[string]*Connection)
	for _, c := range p.archive.records {
		got[strings.TrimPrefix(c.Client, "10.77.1.2:")+c.Expected] = c
	}
	first := p.archive.records[0].ID
	third := p.archive.records[2].ID
	for i, want := range []struct {
		id      string
		ordinal int
	}{{first, 1}, {first, 2}, {third, 1}, {third, 2}, {third, 2}} {
		if c := p.archive.records[i]; c.ID != want.id || c.Ordinal != want.ordinal {
			t.Errorf("%d: %s is the %d. of its id, want %s, %d", i, c.ID, c.Ordinal, want.id, want.ordinal)
		}
	}
	if first == third {
		t.Error("two connections of one client port have one id")
	}
	silent, last := got["1005open"], got["1006stop"]
	if silent == nil || last == nil || silent.ID != third || silent.Ordinal != 3 || last.ID != first || last.Ordinal != 3 {
		t.Errorf("silent %+v, last %+v", silent, last)
	}
	if n := p.ledger.totals.ReusedIDs; n != 4 {
		t.Errorf("%d reused ids reported, want 4", n)
	}
	r.take()
	p.restart(time.Now())
	if id, ordinal := p.ids.next(addr("10.0.0.1:1"), true); id == first || ordinal != 1 {
		t.Errorf("%s survives a restart", id)
	}
}

func TestAnswersToAccessRequest(t *testing.T) {
	const passes, rejected, blocked = "passes", "rejected", "blocked"
	for _, tt := range []struct {
		name   string
		status int
		body   string
		err    error
		old    string // generations that fail open
		newest string
		echo   string // in the newest, "" is null
	}{
		{"accept", 200, `{"access-response":"accept","note":[1]}`, nil, passes, passes, `{"access-response":"accept","note":[1]}`},
		{"reject", 200, `{"access-response":"reject"}`, nil, rejected, rejected, `{"access-response":"reject"}`},
		{"202 with accept", 202, `{"access-response":"accept"}`, nil, passes, passes, `{"access-response":"accept"}`},
		{"empty object", 200, `{}`, nil, passes, blocked, `{}`},
		{"array", 200, `[]`, nil, passes, blocked, `[]`},
		{"capital", 200, `{"access-response":"Accept"}`, nil, passes, blocked, `{"access-response":"Accept"}`},
		{"true", 200, `{"access-response":true}`, nil, passes, blocked, `{"access-response":true}`},
		{"empty", 200, ``, nil, passes, blocked, ``},
		{"broken", 200, `{"access-response":"accept"`, nil, passes, blocked, ``},
		{"503 with accept", 503, `{"access-response":"accept"}`, nil, passes, blocked, `{"access-response":"accept"}`},
		{"302 with reject", 302, `{"access-response":"reject"}`, nil, passes, blocked, `{"access-response":"reject"}`},
		{"reset", 0, ``, syscall.ECONNRESET, passes, blocked, ``},
		{"refused", 0, ``, syscall.ECONNREFUSED, passes, blocked, ``},
	} {
		for _, g := range Generations {
			for _, mode := range []Mode{Transparent, SOCKS, HTTPConnect} {
				t.Run(tt.name+" "+string(g)+" "+string(mode), func(t *testing.T) {
					p, r := newRecordedProxy(t, generationConfig(g), answerAccess(tt.status, tt.body, tt.err))
					p.neighbors.seen("10.77.1.2") // who is new is not the matter here
					p.open(with(func(s *script) { s.mode, s.asks = mode, true }))
					p.pool.idle()
					playAll(p)
					outcome := tt.old
					if g == Generation2026 {
						outcome = tt.newest
					}
					asks := slices.Repeat([]string{ask}, asksOf(g, mode, tt.err))
					want := slices.Concat(asks, map[string][]string{passes: {start, stop, info}, rejected: {info}, blocked: {info}}[outcome])
					if mode != Transparent {
						want = slices.Concat([]string{start}, asks, map[string][]string{passes: {stop, info}, rejected: {info}, blocked: {info}}[outcome])
					}
					requests := r.requests
					if got := r.take(); !slices.Equal(got, want) {
						t.Errorf("sent %v, want %v", got, want)
					}
					c := p.archive.records[0]
					expected := map[string]string{passes: ExpectedStop, rejected: ExpectedRejected, blocked: ExpectedBlocked}[outcome]
					if c.Expected != expected || c.Blocked != (outcome == blocked) || (p.ledger.totals.Blocked == 1) != c.Blocked {
						t.Errorf("expected %s, blocked %v; want %s", c.Expected, c.Blocked, expected)
					}
					if g == Generation2026 {
						echo := tt.echo
						if echo == "" {
							echo = "null"
						}
						if last := requests[len(requests)-1].body; !strings.Contains(last, `"access-response":`+echo+`,"session":`) {
							t.Errorf("info is %s, want the echo %s", last, echo)
						}
					}
				})
			}
		}
	}
}

// asksOf is the number of deliveries of access-requests of one connection.
func asksOf(g Generation, mode Mode, err error) int {
	n := 1
	if g == Generation2025 && mode == SOCKS {
		n = 2
	}
	switch {
	case err != nil && g != Generation2026:
		n *= 5
	case errors.Is(err, syscall.ECONNREFUSED):
		n *= 2
	}
	return n
}

func TestPlannedStop(t *testing.T) {
	for g, want := range map[Generation][]string{
		Generation2025: {info}, GenerationPTR: {info}, Generation2026: nil,
	} {
		t.Run(string(g), func(t *testing.T) {
			cfg := generationConfig(g)
			cfg.RestartKillShare = 0
			p, r := newRecordedProxy(t, cfg, nil)
			p.open(with(func(s *script) { s.statistics, s.duration = true, time.Hour }))
			p.pool.idle()
			r.take()
			p.restart(time.Now())
			playAll(p)
			if got := r.take(); !slices.Equal(got, want) {
				t.Errorf("sent %v, want %v", got, want)
			}
			c := p.archive.records[0]
			if c.Expected != ExpectedRestart || !c.PlannedStop || p.ledger.totals.PlannedStops != 1 {
				t.Errorf("%+v", c)
			}
		})
	}
}

func TestNeverListed(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*script)
		listed bool
	}{
		"plain":    {func(*script) {}, true},
		"SSH":      {func(s *script) { s.transport = "ssh" }, true},
		"SOCKS":    {func(s *script) { s.mode = SOCKS }, true},
		"UDP":      {func(s *script) { s.transport = "udp" }, true},
		"SOCKSUDP": {func(s *script) { s.transport, s.mode, s.lingers = "udp", SOCKS, time.Hour }, false},
		"CONNECT":  {func(s *script) { s.mode = HTTPConnect }, false},
		"QUIC":     {func(s *script) { s.transport = "mf" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			p, _ := newRecordedProxy(t, generationConfig(Generation2026), nil)
			p.open(with(tt.change))
			for p.schedule.connTimers > 0 {
				a := p.schedule.take()
				if a.conn == nil {
					continue
				}
				if a.op == opStop {
					if got := len(p.presence.list(time.Now(), true).ids) == 1; got != tt.listed {
						t.Errorf("listed while open: %v, want %v", got, tt.listed)
					}
				}
				p.perform(a.conn, a.op)
				p.pool.idle()
				p.release(a.conn)
			}
			if got := p.presence.list(time.Now(), true).ids; len(got) > 0 {
				t.Errorf("listed after the stop: %v", got)
			}
			if c := p.archive.records[0]; c.Listable != tt.listed {
				t.Errorf("reported as listable: %v", c.Listable)
			}
		})
	}
}

func TestTrafficOfTheGenerations(t *testing.T) {
	const n = 20_000
	for g, want := range map[Generation][]string{
		Generation2025: {"implicit", "sinkhole", "socks udp", "ja4 without SNI"},
		GenerationPTR:  {"connect", "implicit", "ja4 without SNI", "quic", "sinkhole", "silent", "socks udp"},
		Generation2026: {"connect", "implicit", "ja4 without SNI", "quic", "sinkhole", "silent", "socks udp", "ssh", "ssh with statistics"},
	} {
		cfg := quick("http://127.0.0.1")
		cfg.Generation, cfg.QUICShare = g, 0.02
		traffic := newTraffic(cfg, 0)
		found := make(map[string]int)
		streams := make(map[string]int)
		for range n {
			s := traffic.next()
			for name, is := range map[string]bool{
				"ssh": s.transport == "ssh", "quic": s.transport == "mf", "connect": s.mode == HTTPConnect,
				"ssh with statistics": s.transport == "ssh" && s.statistics,
				"implicit":            s.policy == policyImplicit, "sinkhole": s.sinks(), "silent": s.silentEnd,
				"socks udp": s.mode == SOCKS && s.transport == "udp", "ja4 without SNI": s.ja4IgnoreSNI,
			} {
				if is {
					found[name]++
				}
			}
			switch {
			case s.transport == "mf":
				streams[s.startLabel()]++
			case s.transport == "ssh" && s.server.Port() != 22, s.policy == policyImplicit && (s.asks || s.sendsInfo()),
				s.mode == HTTPConnect && (!s.tls || s.startTransport() != "tcp"):
				t.Fatalf("no such connection: %+v", s)
			}
		}
		var got []string
		for name := range found {
			got = append(got, name)
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: found %v, want %v", g, got, want)
		}
		if most := found["quic"]; g != Generation2025 && most < 3*len(streams)/2 {
			t.Errorf("%s: %d streams of %d QUIC connections", g, most, len(streams))
		}
		if ssh := found["ssh"]; g == Generation2026 && (ssh < n/50 || found["ssh with statistics"] > ssh/5) {
			t.Errorf("%d SSH connections, %d with statistics", ssh, found["ssh with statistics"])
		}
	}
}
