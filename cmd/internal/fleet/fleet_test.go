package fleet

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestTotalsWithoutConnections(t *testing.T) {
	r := newReceiver(t, false, nil)
	cfg := quick(r.URL)
	with, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	cfg.ReportConnections = false
	without, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(without.Connections) > 0 {
		t.Errorf("%d records", len(without.Connections))
	}
	if !maps.Equal(with.Total.Expected, without.Total.Expected) || with.Total.BytesDown != without.Total.BytesDown {
		t.Errorf("totals %+v, want %+v", without.Total, with.Total)
	}
	if _, err := json.Marshal(with); err != nil {
		t.Error(err)
	}
}

func TestSameSeedSameConnections(t *testing.T) {
	r := newReceiver(t, false, nil)
	cfg := quick(r.URL)
	cfg.RestartShare = 0.05
	ids := func() []string {
		report, err := Run(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, c := range report.Connections {
			ids = append(ids, c.Source+"/"+c.ID+" "+c.StopLabel+" "+c.SNI)
		}
		slices.Sort(ids)
		return ids
	}
	if a, b := ids(), ids(); !slices.Equal(a, b) {
		t.Errorf("got %v\nthen %v", a, b)
	}
}

func TestAnswer202AsksBack(t *testing.T) {
	asked := false
	r := newReceiver(t, false, func(m received) (int, string) {
		if m.Action == ActionStart && !asked { // one thread sends
			asked = true
			return 202, "{}"
		}
		return 200, "{}"
	})
	cfg := quick(r.URL)
	cfg.Threads = 1
	p := newTestProxy(t, cfg)
	p.open(plainScript())
	p.pool.idle()
	got := r.all()
	if len(got) != 4 {
		t.Fatalf("received %d requests", len(got))
	}
	ping, neighbor := got[2], got[3]
	id := got[1].ID
	if !slices.Equal(ping.Proxies, []string{id}) || ping.Instance == "" ||
		!slices.Equal(ping.ProxiesPlus, []string{id + "=tcp_10.77.1.2:37070+tcp_10.77.2.2:8080"}) {
		t.Errorf("ping is %s", ping.body)
	}
	if got, want := shape(t, []byte(ping.body)), shape(t, captured(t, "answer-202", "proxies-plus")); !slices.Equal(got, want) {
		t.Errorf("ping has %v, want %v", got, want)
	}
	if got, want := shape(t, []byte(neighbor.body)), shape(t, captured(t, "answer-202", "neighbor")); !slices.Equal(got, want) || neighbor.State != "ping" {
		t.Errorf("neighbor has %v, want %v", got, want)
	}
	playAll(p)
	p.deliverPing(t.Context(), false)
	last := r.all()[len(r.all())-1]
	if got, want := shape(t, []byte(last.body)), shape(t, captured(t, "access-reject", "ping")); !slices.Equal(got, want) {
		t.Errorf("ping with nothing open has %v, want %v", got, want)
	}
}

func TestSOCKSIsNotListedWhileItNegotiates(t *testing.T) {
	r := newReceiver(t, false, nil)
	p := newTestProxy(t, quick(r.URL))
	p.open(with(func(s *script) { s.mode = SOCKS }))
	if l := p.presence.list(time.Now(), false); len(l.ids) > 0 {
		t.Errorf("listed: %v", l.ids)
	}
	a := p.schedule.take()
	for a.conn == nil {
		a = p.schedule.take()
	}
	p.perform(a.conn, a.op)
	p.release(a.conn)
	if l := p.presence.list(time.Now(), false); len(l.ids) != 1 {
		t.Errorf("listed: %v", l.ids)
	}
	playAll(p)
}

func TestRestart(t *testing.T) {
	for _, tt := range []struct {
		name      string
		killShare float64
		infos     int
		expected  string
	}{
		{"SIGTERM", 0, 1, ExpectedRestart},
		{"SIGKILL", 1, 0, ExpectedRestart},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newReceiver(t, false, nil)
			cfg := quick(r.URL)
			cfg.RestartKillShare = tt.killShare
			p := newTestProxy(t, cfg)
			p.open(with(func(s *script) { s.statistics, s.duration = true, time.Hour }))
			first := p.instanceNow()
			p.restart(time.Now())
			if p.instanceNow() == first {
				t.Error("the boot id stays")
			}
			playAll(p)
			infos, stops := 0, 0
			for _, m := range r.all() {
				switch m.Action {
				case ActionInfo:
					infos++
				case ActionStop:
					stops++
				}
			}
			if infos != tt.infos || stops != 0 {
				t.Errorf("%d infos, %d stops", infos, stops)
			}
			if len(p.archive.records) != 1 || p.archive.records[0].Expected != tt.expected {
				t.Errorf("records %+v", p.archive.records)
			}
		})
	}
}

func TestEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stops atomic.Int64
	r := newReceiver(t, false, func(m received) (int, string) {
		if m.Action == ActionStop && stops.Add(1) == 20 {
			cancel()
		}
		return 200, "{}"
	})
	cfg := quick(r.URL)
	cfg.Connections = 0
	// Half of them would last longer than the test may.
	cfg.DurationMax, cfg.InfoDelayMax, cfg.Drain = time.Hour, time.Hour, 50*time.Millisecond
	f, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	report := f.Run(ctx)
	if live := f.Live(); live.Open() != 0 || int(live.Started) != report.Total.Connections {
		t.Errorf("live %+v, total %d", live, report.Total.Connections)
	}
	if report.Total.Expected[ExpectedStop] != report.Total.Connections-report.Total.Expected[ExpectedRejected] {
		t.Errorf("ends %v of %d", report.Total.Expected, report.Total.Connections)
	}
}

// A connection that ends without an event is lost when two lists lack it after one
// that had it, and is closed by the restart when that comes first.
func TestSilentEnds(t *testing.T) {
	for _, tt := range []struct {
		name            string
		pings           int
		listed, restart bool
		howto, legacy   bool
		want            string
	}{
		{"two pings", 2, true, false, false, false, ExpectedLost},
		{"one ping at the end", 1, true, false, false, false, ExpectedOpen},
		{"no ping", 0, true, false, false, false, ExpectedOpen},
		{"one ping, then a restart", 1, true, true, false, false, ExpectedRestart},
		{"two pings, then a restart", 2, true, true, false, false, ExpectedLost},
		{"pings without a list", 2, true, false, true, false, ExpectedOpen},
		{"never listed", 2, false, false, false, false, ExpectedOpen},
		{"never listed, then a restart", 2, false, true, false, false, ExpectedRestart},
		{"never listed, but that does not matter", 2, false, false, false, true, ExpectedLost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newReceiver(t, false, nil)
			cfg := quick(r.URL)
			if tt.howto {
				cfg.Form = FormHOWTO
			}
			cfg.LegacyExpectations = tt.legacy
			p := newTestProxy(t, cfg)
			p.open(with(func(s *script) { s.lostStop = true }))
			if tt.listed {
				p.deliverPing(t.Context(), false)
			}
			playAll(p)
			for range tt.pings {
				p.deliverPing(t.Context(), false)
			}
			if tt.restart {
				p.restart(time.Now())
			}
			p.archive.closeAll(p)
			if len(p.archive.records) != 1 || p.archive.records[0].Expected != tt.want {
				t.Errorf("records %+v", p.archive.records)
			}
		})
	}
}

// The pings at the end decide which connections are lost, so none may be missing: however long they take, and if one
// fails.
func TestLastPings(t *testing.T) {
	for _, tt := range []struct {
		name               string
		fails              int // of the pings
		sent, acknowledged int
	}{
		{"all are acknowledged", 0, 2, 2},
		{"one fails", 1, 3, 2},
		{"all fail", 100, 4, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := generationConfig(Generation2026)
				cfg.Connections, cfg.Drain = 1, time.Second
				cfg.FirstPing = time.Hour
				cfg.LastPingGap = 20 * time.Second // longer than the drain may take
				f, err := New(cfg)
				if err != nil {
					t.Fatal(err)
				}
				p, failed := f.proxies[0], 0
				p.exchange = func(_ context.Context, r request) (answer, error) {
					if strings.Contains(string(r.body), `"action":"ping"`) && failed < tt.fails {
						failed++
						return answer{}, syscall.ECONNRESET
					}
					return acknowledged, nil
				}
				p.run(t.Context(), t.Context())
				n := p.ledger.totals.Actions[ActionPing]
				if n == nil || n.Events != tt.sent || n.AcknowledgedEvents != tt.acknowledged {
					t.Errorf("pings are %+v, want %d, %d of them acknowledged", n, tt.sent, tt.acknowledged)
				}
			})
		})
	}
}

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"url":     func(c *Config) { c.URL = "localhost:5000" },
		"form":    func(c *Config) { c.Form = "new" },
		"proxies": func(c *Config) { c.Proxies = 0 },
		"abort":   func(c *Config) { c.Faults.Abort = 1.5 },
		"rate":    func(c *Config) { c.Rate = 0 },
		"timeout": func(c *Config) { c.Timeout = 0 },
		"kill":    func(c *Config) { c.RestartKillShare = -1 },
		"SNIs":    func(c *Config) { c.DistinctSNIs = 0 },
	} {
		cfg := DefaultConfig()
		cfg.URL = "http://127.0.0.1:1/webhook/x"
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v", want, err)
		}
	}
}
