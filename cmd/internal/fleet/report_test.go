package fleet

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
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
