package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestReportIsWhatTheReceiverGot(t *testing.T) {
	for _, g := range Generations {
		for _, form := range []Form{FormCurrent, FormHOWTO, FormMixed} {
			t.Run(string(g)+" "+string(form), func(t *testing.T) {
				r := newReceiver(t, false, func(m received) (int, string) {
					if m.Action == ActionAccess {
						switch {
						case strings.Contains(m.body, "443"):
							return 200, `{"access-response":"reject","tag":[1]}`
						case strings.Contains(m.body, "8080"):
							return 200, `{}`
						}
						return 200, `{"access-response":"accept"}`
					}
					return 200, "{}"
				})
				cfg := quick(r.URL)
				cfg.Generation, cfg.Form = g, form
				cfg.Connections = 240
				cfg.PlainProxies = 1
				cfg.AccessShare, cfg.SOCKSShare, cfg.RestartShare, cfg.ContentShare = 0.4, 0.3, 0.02, 0.05
				cfg.SOCKSUDPShare, cfg.ConnectShare, cfg.SSHShare, cfg.QUICShare = 0.5, 0.3, 0.1, 0.1
				cfg.SilentEndShare, cfg.ImplicitShare, cfg.SinkholeShare = 0.3, 0.1, 0.1
				cfg.Reorder = 3
				cfg.LeaveOpen = 2
				cfg.Faults.Garbage = 0.1
				cfg.Faults = cfg.Faults.WithMix()
				report, err := Run(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				got := r.all()
				checkTotals(t, report, got, r.statuses)
				checkConnections(t, report, got)
				if report.Total.Connections != cfg.Connections+cfg.Proxies*cfg.LeaveOpen {
					t.Errorf("%d connections", report.Total.Connections)
				}
				n := &report.Total
				if n.Restarts == 0 || n.Expected[ExpectedOpen] == 0 || n.Sinkholed == 0 || n.Policies[policyImplicit] == 0 ||
					(n.ReusedIDs > 0) != (g == GenerationPTR) || (n.Blocked > 0) != (g == Generation2026) ||
					(n.Transports["ssh"] > 0) != (g == Generation2026) || (n.Transports["quic"] > 0) != (g != Generation2025) {
					t.Errorf("totals %+v", n)
				}
			})
		}
	}
}

// named says which connection a message with an id is about. An id that is reused
// stands for the connection of the client in the label, else for the latest.
type named struct {
	clients map[string][]string // of each source and id, in order; "" is not known yet
}

func newNamed() *named { return &named{clients: make(map[string][]string)} }

var clientOf = regexp.MustCompile(`"session":"[a-z]+_(.*?)\+`)

// name returns the source, the id and the ordinal, "" for a message without an id
// of a connection.
func (n *named) name(m received) string {
	if !strings.HasPrefix(m.ID, "Proxy-") {
		return ""
	}
	client := ""
	if found := clientOf.FindStringSubmatch(m.body); found != nil {
		client = found[1]
	}
	k := m.Source + "/" + m.ID
	clients := n.clients[k]
	switch {
	case len(clients) == 0:
		clients = []string{client}
	case client != "" && clients[0] == "":
		clients[0] = client
	case client != "" && !slices.Contains(clients, client):
		clients = append(clients, client)
	}
	n.clients[k] = clients
	ordinal := len(clients)
	if client != "" {
		ordinal = slices.Index(clients, client) + 1
	}
	return fmt.Sprintf("%s#%d", k, ordinal)
}

// checkTotals holds the report's numbers against the requests that came.
func checkTotals(t *testing.T, report *Report, got []received, statuses map[int]int) {
	t.Helper()
	type key struct {
		source string
		action Action
	}
	deliveries, pings := make(map[key]int), make(map[string]int)
	events := make(map[key]map[string]bool)
	fresh := make(map[string]map[string]bool)
	names := newNamed()
	for _, m := range got {
		k := key{m.Source, m.Action}
		deliveries[k]++
		if events[k] == nil {
			events[k] = make(map[string]bool)
		}
		events[k][names.name(m)] = true
		if m.Action == ActionPing {
			pings[m.Source]++
		}
		if m.Action == ActionNeighbor && m.State == "new" {
			if fresh[m.Source] == nil {
				fresh[m.Source] = make(map[string]bool)
			}
			for _, a := range append(m.Addresses, m.Address) {
				if a != "" {
					fresh[m.Source][a] = true
				}
			}
		}
	}
	for source, s := range report.Sources {
		for action, n := range s.Actions {
			k := key{source, action}
			if n.Deliveries != deliveries[k] || n.AcknowledgedDeliveries != deliveries[k] || n.Failures != 0 {
				t.Errorf("%v: reported %+v, received %d", k, n, deliveries[k])
			}
			switch action {
			case ActionStart, ActionStop, ActionInfo: // at most one event a connection
				if n.AcknowledgedEvents != len(events[k]) {
					t.Errorf("%v: acknowledged %d, received %d", k, n.AcknowledgedEvents, len(events[k]))
				}
			}
			delete(deliveries, k)
		}
		unknown := slices.DeleteFunc(slices.Clone(s.Neighbors), func(a string) bool { return fresh[source][a] })
		if len(unknown) != s.NeighborsNew-s.NeighborsAcknowledged || len(fresh[source]) != s.NeighborsAcknowledged || s.NeighborsNew != len(s.Neighbors) {
			t.Errorf("%s: %d neighbors, %d acknowledged, received %d and not %v", source, s.NeighborsNew, s.NeighborsAcknowledged, len(fresh[source]), unknown)
		}
		if s.NeighborsAcknowledged != s.NeighborsNew && s.Generation != Generation2026 {
			t.Errorf("%s: %d of %d neighbors acknowledged", source, s.NeighborsAcknowledged, s.NeighborsNew)
		}
	}
	if len(deliveries) > 0 {
		t.Errorf("received, not reported: %v", deliveries)
	}
	for kind, g := range report.Garbage {
		if kind == garbageType.String() && g.Status[400] != g.Sent {
			t.Errorf("%s: %+v", kind, g)
		}
		if kind == garbageSecret.String() && g.Status[404] != g.Sent {
			t.Errorf("%s: %+v", kind, g)
		}
	}
	for status, kind := range map[int]garbage{404: garbageSecret, 405: garbageMethod, 413: garbageTooLarge} {
		if g := report.Garbage[kind.String()]; g != nil && g.Failed == 0 && statuses[status] != g.Sent {
			t.Errorf("%s: %+v, answered %d times", kind, g, statuses[status])
		}
	}
}

// checkConnections judges each connection by what came, as a receiver has to.
func checkConnections(t *testing.T, report *Report, got []received) {
	t.Helper()
	type seen struct {
		actions map[Action]int
		reject  bool
	}
	byID := make(map[string]*seen)
	names := newNamed()
	for _, m := range got {
		k := names.name(m)
		if k == "" {
			continue
		}
		if byID[k] == nil {
			byID[k] = &seen{actions: make(map[Action]int)}
		}
		byID[k].actions[m.Action]++
		if m.Action == ActionInfo && strings.Contains(string(m.Details), `"access-response":"reject"`) {
			byID[k].reject = true
		}
	}
	ends := make(map[string]int)
	ids := make(map[string]bool)
	for _, c := range report.Connections {
		k := fmt.Sprintf("%s/%s#%d", c.Source, c.ID, c.Ordinal)
		ends[c.Expected]++
		if c.Expected == ExpectedNone {
			// The next connection with the id has this name.
			for _, d := range []*Delivery{c.Start, c.Stop, c.Info} {
				if d.Known() {
					t.Errorf("%s: expected none, but %+v", k, d)
				}
			}
			continue
		}
		if ids[k] {
			t.Errorf("%s is there twice", k)
		}
		ids[k] = true
		s := byID[k]
		if s == nil {
			s = &seen{}
		}
		for action, d := range map[Action]*Delivery{ActionStart: c.Start, ActionStop: c.Stop, ActionInfo: c.Info} {
			n := 0
			if d != nil {
				n = d.Deliveries
			}
			if n != s.actions[action] {
				t.Errorf("%s %s: reported %d, received %d", k, action, n, s.actions[action])
			}
			if d.Known() && (d.FirstSent.After(d.FirstAnswered) || d.LastAnswered.Before(d.FirstAnswered) ||
				d.FirstSent.Before(report.Started) || d.LastAnswered.After(report.Ended)) {
				t.Errorf("%s %s: times %+v", k, action, d)
			}
		}
		var want []string
		switch {
		case s.actions[ActionStop] > 0:
			want = []string{ExpectedStop}
		case s.reject:
			want = []string{ExpectedRejected}
		case s.actions[ActionInfo] > 0 && c.Blocked:
			want = []string{ExpectedBlocked}
		case s.actions[ActionInfo] > 0 && c.PlannedStop:
			want = []string{ExpectedRestart}
		case s.actions[ActionInfo] > 0:
			want = []string{ExpectedLost}
		case s.actions[ActionStart] == 0 && s.actions[ActionAccess] == 0:
			want = []string{ExpectedNone}
		case c.RestartedOpen:
			want = []string{ExpectedRestart}
		default:
			want = []string{ExpectedLost, ExpectedOpen}
		}
		if !slices.Contains(want, c.Expected) {
			t.Errorf("%s: expected %s, by what came %v", k, c.Expected, want)
		}
		if c.Asked != (c.Access != nil) || c.Asked == (c.Verdict == "") {
			t.Errorf("%s: asked %v, verdict %q", k, c.Asked, c.Verdict)
		}
	}
	if !maps.Equal(ends, report.Total.Expected) {
		t.Errorf("ends %v, totals %v", ends, report.Total.Expected)
	}
	if n := report.Total.Connections; len(report.Connections) != n {
		t.Errorf("%d records of %d connections", len(report.Connections), n)
	}
}

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
		{"one ping at the end", 1, true, false, false, false, ExpectedLost},
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
