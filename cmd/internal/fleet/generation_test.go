package fleet

import (
	"slices"
	"testing"
	"time"
)

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
		"SOCKSUDP": {func(s *script) { s.transport, s.mode, s.staysListed = "udp", SOCKS, time.Hour }, false},
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
