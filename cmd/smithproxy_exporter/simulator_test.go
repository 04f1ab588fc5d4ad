package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/cmd/internal/fleet"
	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/traceid"
)

var (
	simDuration = flag.Duration("sim.duration", 15*time.Second, "how long TestSimulator lets proxies run")
	simSeed     = flag.Uint64("sim.seed", 1, "seed of TestSimulator")
)

// TestSimulator runs a fleet of each generation with every fault there is against the exporter, and holds each
// span and each counter against what the fleet says it did.
func TestSimulator(t *testing.T) {
	long(t)
	for _, generation := range fleet.Generations {
		for _, verdict := range []event.Verdict{event.Accept, event.Reject} {
			t.Run(fmt.Sprintf("%s/%s", generation, verdict), func(t *testing.T) {
				t.Parallel()
				runSimulator(t, generation, verdict)
			})
		}
	}
}

// simGrace is the grace period of TestSimulator. A minute more is less than the ping timeout.
const simGrace = 3 * time.Minute

func runSimulator(t *testing.T, generation fleet.Generation, verdict event.Verdict) {
	backend := newReceiver(t)
	e := startLive(t, []string{"--otlp.endpoint=http://" + backend.address}, func(c *config.Config) {
		c.Access.Default = verdict
		c.Metrics.MaxValues = 100_000 // so that nothing is in _other
		// On an overloaded machine an event waits longer for its proxy to send it than a proxy tries to.
		c.Connections.GracePeriod = simGrace
	})
	cfg := fleetOf(generation)
	cfg.URL = e.webhook
	cfg.Seed = *simSeed
	cfg.Duration = *simDuration
	cfg.Rate = 60
	cfg.Form = fleet.FormMixed
	cfg.Timeout = time.Minute // nobody knows whether what timed out has arrived
	cfg.DurationMax = 5 * time.Second
	cfg.PingInterval, cfg.FirstPing = 3*time.Second, time.Second
	cfg.LastPingGap = 7 * time.Second
	cfg.RestartEvery = 7 * time.Second
	cfg.ContentShare = 0.05
	cfg.SOCKSShare = 0.2
	cfg.LeaveOpen = 3
	cfg.Faults = cfg.Faults.WithMix()
	cfg.Faults.GarbageSize = 5 << 20
	report, err := fleet.Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	e.advance(e.clock.now().Add(simGrace + time.Minute)) // all grace periods are over
	exposed := parseMetrics(t, e.metrics())
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	spans := backend.all()
	checkTraces(t, spans)
	checkSpans(t, report, spans)
	for source, r := range report.Sources {
		checkSource(t, exposed, report, source, r)
	}
	checkGarbage(t, exposed, report)
	t.Logf("%d connections, %d spans; expected %v", len(report.Connections), len(spans), report.Total.Expected)
}

// checkSpans expects one root span for each connection that is over, saying what the proxy did.
func checkSpans(t *testing.T, report *fleet.Report, spans []received) {
	roots := map[string]received{}
	children := map[string]int{}
	for _, s := range spans {
		switch {
		case s.parent() == "":
			roots[s.traceID()] = s
		case s.GetName() == "access-request":
			children[s.traceID()]++
		default:
			t.Errorf("span %s of trace %s: nothing was late", s.GetName(), s.traceID())
		}
	}
	for _, c := range report.Connections {
		if c.Expected == fleet.ExpectedNone {
			continue // the next connection with the id has this name
		}
		id := traceOf(c).TraceString()
		root, found := roots[id]
		delete(roots, id)
		if over := c.Expected != fleet.ExpectedOpen; found != over {
			t.Errorf("%s: root span %v, but expected %s: %+v", c.ID, found, c.Expected, c)
			continue
		}
		if found {
			checkRoot(t, c, root, children[id])
		}
	}
	for _, s := range roots {
		if s.GetName() != "access-request" {
			t.Errorf("root span of a connection that there never was: %v", s)
		}
	}
}

func checkRoot(t *testing.T, c *fleet.Connection, root received, children int) {
	t.Helper()
	got := values(root.GetAttributes())
	want := map[string]any{"smithproxy.connection.id": c.ID}
	reasons := []string{c.Expected}
	over := c.Expected == fleet.ExpectedLost || c.Expected == fleet.ExpectedRestart
	if silent(c) || c.Expected == fleet.ExpectedBlocked || c.PlannedStop && over {
		reasons = []string{fleet.ExpectedLost, fleet.ExpectedRestart}
	}
	if reason := fmt.Sprint(got["smithproxy.close.reason"]); !slices.Contains(reasons, reason) {
		t.Errorf("%s: reason %s, want %v", c.ID, reason, reasons)
	}
	if c.Stop != nil && c.Stop.Acknowledged {
		want["smithproxy.bytes.up"], want["smithproxy.bytes.down"] = int64(c.BytesUp), int64(c.BytesDown)
		want["smithproxy.policy"] = int64(c.Policy)
		if c.Policy == event.PolicyImplicit {
			want["smithproxy.policy"] = "implicit"
		}
		if len(c.SNI) > 0 && len(c.SNI) <= 1024 {
			want["server.address"] = strings.ToValidUTF8(c.SNI, "\ufffd")
		}
		checkWithin(t, c.ID+" end", endOf(root), c.Stop)
	}
	if c.Info != nil && c.Info.Acknowledged {
		entropy(want, "smithproxy.entropy.up", c.EntropyUp)
		entropy(want, "smithproxy.entropy.down", c.EntropyDown)
	}
	if c.Transport == "quic" {
		// The streams of a QUIC connection share its label: which of them asked only an echo tells.
	} else if c.Access != nil && c.Access.Acknowledged {
		want["smithproxy.access.verdict"] = c.Decision
		if children != 1 {
			t.Errorf("%s: %d access-request spans, want 1", c.ID, children)
		}
	} else if children != 0 {
		t.Errorf("%s: %d access-request spans, but it never asked", c.ID, children)
	}
	if first := firstOf(c); first != nil && c.Transport != "quic" && !startOf(root).Equal(endOf(root)) {
		checkWithin(t, c.ID+" start", startOf(root), first)
		if got["smithproxy.start.estimated"] != nil {
			t.Errorf("%s: start is estimated, but it was received", c.ID)
		}
	}
	for key, w := range want {
		if got[key] != w {
			t.Errorf("%s: %s = %v, want %v", c.ID, key, got[key], w)
		}
	}
}

// traceOf returns the ids of a connection's trace.
func traceOf(c *fleet.Connection) traceid.ID {
	if c.Ordinal > 1 {
		return traceid.Of(c.Source, fmt.Sprintf("%s#%d", c.ID, c.Ordinal))
	}
	return traceid.Of(c.Source, c.ID)
}

// silent connections end without a word: either two lists or a restart tell, whichever is noticed.
func silent(c *fleet.Connection) bool {
	told := c.Stop != nil && c.Stop.Acknowledged || c.Info != nil && c.Info.Acknowledged
	return !told && (c.Expected == fleet.ExpectedLost || c.Expected == fleet.ExpectedRestart)
}

func firstOf(c *fleet.Connection) *fleet.Delivery {
	if c.Access != nil && c.Access.Acknowledged && (c.Start == nil || !c.Start.Acknowledged || c.Access.FirstSent.Before(c.Start.FirstSent)) {
		return c.Access
	}
	if c.Start != nil && c.Start.Acknowledged {
		return c.Start
	}
	return nil
}

func entropy(want map[string]any, key string, e *fleet.Entropy) {
	if e != nil && e.Data && e.Bits >= 0 {
		want[key] = e.Bits
	}
}

func checkWithin(t *testing.T, what string, at time.Time, d *fleet.Delivery) {
	t.Helper()
	const slack = time.Millisecond // the two clocks are one, but are not read at once
	if at.Before(d.FirstSent.Add(-slack)) || at.After(d.FirstAnswered.Add(slack)) {
		t.Errorf("%s at %v, want within %v and %v", what, at, d.FirstSent, d.FirstAnswered)
	}
}

// checkSource holds the counters of one proxy against what it did.
func checkSource(t *testing.T, m metrics, report *fleet.Report, source string, r *fleet.SourceReport) {
	t.Helper()
	of := func(name string, labels ...string) float64 {
		return m.sum("smithproxy_"+name, append(labels, "source="+source)...)
	}
	truth := newTruth(report, source)
	for action, n := range r.Actions {
		check(t, source+" events "+string(action), of("events_total", "action="+string(action)), n.AcknowledgedDeliveries)
	}
	for _, action := range []fleet.Action{fleet.ActionStart, fleet.ActionStop, fleet.ActionInfo} {
		if n, ok := r.Actions[action]; ok {
			check(t, source+" duplicates "+string(action), of("exporter_events_duplicate_total", "action="+string(action)),
				n.AcknowledgedDeliveries-n.AcknowledgedEvents)
		}
	}
	check(t, source+" started", of("connections_started_total"), truth.started)
	check(t, source+" stopped", of("connections_closed_total", "reason=stop"), truth.reasons["stop"])
	check(t, source+" rejected", of("connections_closed_total", "reason=rejected"), truth.reasons["rejected"])
	check(t, source+" lost and restarted",
		of("connections_closed_total", "reason=lost")+of("connections_closed_total", "reason=restart"),
		truth.reasons["lost"]+truth.reasons["restart"]+truth.reasons["blocked"])
	check(t, source+" bytes up", of("connection_bytes_total", "direction=up"), r.BytesUp)
	check(t, source+" bytes down", of("connection_bytes_total", "direction=down"), r.BytesDown)
	check(t, source+" SNI connections", of("sni_connections_total"), truth.named)
	check(t, source+" SNI bytes", of("sni_bytes_total"), truth.namedBytes)
	check(t, source+" requests", of("l7_requests_total"), truth.requests)
	check(t, source+" entropy up", of("payload_entropy_bits_count", "direction=up"), truth.entropyUp)
	check(t, source+" entropy down", of("payload_entropy_bits_count", "direction=down"), truth.entropyDown)
	check(t, source+" decisions", of("access_requests_total"), truth.asked)
	check(t, source+" pings", of("pings_total"), r.Actions[fleet.ActionPing].AcknowledgedDeliveries)
	check(t, source+" restarts", of("restarts_total"), r.Restarts)
	check(t, source+" neighbors", of("neighbors_discovered_total"), r.NeighborsAcknowledged)
	check(t, source+" up", of("up"), 1)
	check(t, source+" open", of("connections_active"), truth.active)
}

// truth is what one proxy's connections add up to.
type truth struct {
	reasons                                 map[string]int
	started, active, named, requests, asked int
	entropyUp, entropyDown                  int
	namedBytes                              uint64
}

func newTruth(report *fleet.Report, source string) truth {
	w := truth{reasons: map[string]int{}}
	for _, c := range report.Connections {
		if c.Source != source {
			continue
		}
		w.reasons[c.Expected]++
		if c.Expected == fleet.ExpectedOpen {
			w.active++
		}
		if c.Start != nil && c.Start.Acknowledged {
			w.started++
		}
		if c.Access != nil && c.Access.Acknowledged {
			w.asked++
		}
		if c.Stop != nil && c.Stop.Acknowledged {
			if c.SNI != "" {
				w.named++
				w.namedBytes += c.BytesUp + c.BytesDown
			}
			if c.App != "" {
				w.requests += len(c.L7Details)
			}
		}
		if c.Info != nil && c.Info.Acknowledged {
			if c.EntropyUp != nil && c.EntropyUp.Data {
				w.entropyUp++
			}
			if c.EntropyDown != nil && c.EntropyDown.Data {
				w.entropyDown++
			}
		}
	}
	return w
}

// checkGarbage expects every request that no receiver can use to have been refused, for its reason.
func checkGarbage(t *testing.T, m metrics, report *fleet.Report) {
	t.Helper()
	for kind, want := range map[string]struct {
		status int
		reason string
	}{
		"not-json": {400, "syntax"}, "wrong-secret": {404, "secret"}, "wrong-method": {405, "method"},
		"too-large": {413, "size"}, "unknown-action": {200, ""}, "unknown-type": {200, ""},
	} {
		g := report.Garbage[kind]
		if g == nil {
			continue
		}
		if g.Status[want.status]+g.Failed != g.Sent {
			t.Errorf("%s: answered %v, want %d", kind, g.Status, want.status)
		}
		if want.reason == "" {
			continue
		}
		// One that failed may not have arrived: on a busy machine five seconds do not suffice for 5 MiB.
		refused := int(m.sum("smithproxy_exporter_events_rejected_total", "reason="+want.reason))
		if refused < g.Sent-g.Failed || refused > g.Sent {
			t.Errorf("refused %s: %d, want %d, of which %d may not have arrived", kind, refused, g.Sent, g.Failed)
		}
	}
}

func check[N int | uint64 | float64](t *testing.T, what string, got float64, want N) {
	t.Helper()
	if got != float64(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
