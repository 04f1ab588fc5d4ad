package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"smithproxy_exporter/cmd/internal/fleet"
)

var crashRounds = flag.Int("crash.rounds", 1, "how often TestCrash kills the exporter")

// TestCrash kills the binary at random moments under the simulator at full speed with all of its faults,
// and expects a root span of each connection whose start and stop were acknowledged: one, or the very same
// again. Once with a backend that answers, once with one that fails at random and goes away.
func TestCrash(t *testing.T) {
	long(t)
	binary := buildBinary(t)
	for _, generation := range fleet.Generations {
		t.Run(fmt.Sprint("steady backend, ", generation), func(t *testing.T) { crash(t, binary, generation, newReceiver(t), nil) })
		t.Run(fmt.Sprint("failing backend, ", generation), func(t *testing.T) {
			t.Parallel() // most of the time the exporter pauses, because of what the backend answered
			backend := newReceiver(t)
			fail := &failing{random: rand.New(rand.NewPCG(*simSeed, 1))}
			backend.refuse = fail.refuse
			crash(t, binary, generation, backend, fail)
		})
	}
}

// failing makes a backend answer errors at random, and sometimes nothing but errors for a while.
type failing struct {
	mu     sync.Mutex
	random *rand.Rand
	until  time.Time
	well   bool
}

var failures = []codes.Code{codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded, codes.Internal, codes.Unauthenticated}

func (f *failing) refuse(*coltracepb.ExportTraceServiceRequest) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.well:
		return nil
	case time.Now().Before(f.until):
		return status.Error(codes.Unavailable, "down")
	case f.random.IntN(20) == 0:
		f.until = time.Now().Add(time.Duration(f.random.IntN(2000)) * time.Millisecond)
	case f.random.IntN(4) > 0:
		return nil
	}
	return status.Error(failures[f.random.IntN(len(failures))], "not now")
}

func (f *failing) recover() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.well = true
}

// playFleet plays proxies until their report is asked for, or the test is over.
func playFleet(t *testing.T, cfg fleet.Config) (report func() *fleet.Report) {
	ctx, cancel := context.WithCancel(t.Context())
	reported := make(chan *fleet.Report, 1)
	go func() {
		r, err := fleet.Run(ctx, cfg)
		if err != nil {
			t.Error(err)
		}
		reported <- r
	}()
	return func() *fleet.Report {
		cancel()
		return <-reported
	}
}

func crash(t *testing.T, binary string, generation fleet.Generation, backend *receiver, fail *failing) {
	c := newChild(t, binary, backend)
	c.start()
	defer c.end()
	cfg := crashFleet("http://"+c.webhook+"/webhook/"+secret, generation)
	report := playFleet(t, cfg)
	random := rand.New(rand.NewPCG(*simSeed, 0))
	for range *crashRounds {
		// A random moment: nothing is waited for.
		time.Sleep(300*time.Millisecond + time.Duration(random.IntN(2200))*time.Millisecond)
		c.kill()
		c.start()
	}
	played := report()
	if fail != nil {
		fail.recover()
	}
	// By the end of their grace periods all have a span, and no more is to be sent then.
	c.await("settled", c.settled)
	c.stop()
	checkCrash(t, c, played, backend.all())
}

func crashFleet(url string, generation fleet.Generation) fleet.Config {
	cfg := fleetOf(generation)
	cfg.URL, cfg.Seed = url, *simSeed
	cfg.MaxSpeed = true
	cfg.Form = fleet.FormMixed
	cfg.DurationMax, cfg.InfoDelayMax = 2*time.Second, time.Second
	cfg.PingInterval, cfg.FirstPing, cfg.LastPingGap = time.Second, 500*time.Millisecond, 3*time.Second
	cfg.RestartEvery = 10 * time.Second
	cfg.SOCKSShare = 0.2
	cfg.Faults = cfg.Faults.WithMix()
	cfg.Faults.LateStartDelay = time.Second
	cfg.Faults.GarbageSize = 5 << 20
	return cfg
}

// checkCrash holds the spans against what was acknowledged.
func checkCrash(t *testing.T, c *child, report *fleet.Report, spans []received) {
	roots := map[string]received{}
	repeats := 0
	for _, s := range spans {
		if s.parent() != "" {
			continue
		}
		if first, ok := roots[s.traceID()]; ok {
			repeats++
			if !proto.Equal(first.Span, s.Span) {
				t.Errorf("two root spans of one connection differ:\n%v\n%v", first.Span, s.Span)
			}
			continue
		}
		roots[s.traceID()] = s
	}
	acknowledged, undecided := 0, 0
	lost := map[string]bool{} // labels of QUIC connections
	for _, conn := range report.Connections {
		if conn.Transport == "quic" && conn.Access.Known() && c.killedSoonAfter(conn.Access.LastAnswered) {
			lost[conn.StartLabel] = true
		}
	}
	for _, conn := range report.Connections {
		root, found := rootOf(roots, conn)
		delete(roots, root.traceID())
		if !conn.Start.Known() || !conn.Stop.Known() {
			continue
		}
		acknowledged++
		if !found {
			t.Errorf("%s: no root span: start %+v, stop %+v", conn.ID, conn.Start, conn.Stop)
			continue
		}
		if !checkSurvivor(t, c, conn, root, lost[conn.StartLabel]) {
			undecided++
		}
	}
	for _, s := range roots {
		if s.GetName() != "access-request" {
			t.Errorf("root span of a connection that there never was: %v", s)
		}
	}
	t.Logf("killed %d times; %d connections, %d with an acknowledged start and stop, each with its root span; %d identical repeats; %d decisions lost with the moment of a kill",
		len(c.kills), len(report.Connections), acknowledged, repeats, undecided)
}

// rootOf returns the root span of a connection. Of an id that comes again, a kill can have the exporter know of a
// connection more than the proxy had acknowledged: the client's port tells, if the span has it.
func rootOf(roots map[string]received, conn *fleet.Connection) (root received, found bool) {
	_, port, _ := net.SplitHostPort(conn.Client)
	counted := *conn
	for range 4 {
		root, found = roots[traceOf(&counted).TraceString()]
		if got := values(root.GetAttributes())["client.port"]; found && (got == nil || fmt.Sprint(got) == port) {
			return root, true
		}
		counted.Ordinal++
	}
	return received{Span: &tracepb.Span{}}, false
}

// checkSurvivor reports whether the verdict is there. An access-request is answered before it is written
// down, so the verdict of the last moment before a kill can be lost, unless the proxy echoes it. lost says that this can
// have happened to a stream of the same QUIC connection: streams share a label, so each takes the next one's then.
func checkSurvivor(t *testing.T, c *child, conn *fleet.Connection, root received, lost bool) (decided bool) {
	t.Helper()
	got := values(root.GetAttributes())
	want := map[string]any{
		"smithproxy.connection.id": conn.ID, "smithproxy.close.reason": "stop",
		"smithproxy.bytes.up": int64(conn.BytesUp), "smithproxy.bytes.down": int64(conn.BytesDown),
		"smithproxy.start.estimated": nil,
	}
	decided = true
	first := conn.Start
	if conn.Access.Known() {
		if conn.Verdict != "failed" { // The proxy has seen no answer, though one was given.
			want["smithproxy.access.verdict"] = conn.Verdict
		}
		if got["smithproxy.access.verdict"] == nil && (lost || c.killedSoonAfter(conn.Access.LastAnswered)) {
			delete(want, "smithproxy.access.verdict")
			decided = false
		}
		if conn.Access.FirstTried.Before(first.FirstTried) {
			first = conn.Access
		}
	}
	for key, w := range want {
		if got[key] != w {
			t.Errorf("%s: %s = %v, want %v", conn.ID, key, got[key], w)
		}
	}
	if start, end := startOf(root), endOf(root); !start.Equal(end) && conn.Transport != "quic" { // see checkRoot
		latest := *first
		if !decided || conn.Access.Known() && c.killedSoonAfter(conn.Access.FirstAnswered) {
			latest = *conn.Start // all that there was
		}
		checkBetween(t, conn.ID+" start", start, first.FirstTried, latest.FirstAnswered)
	}
	checkBetween(t, conn.ID+" end", endOf(root), conn.Stop.FirstTried, conn.Stop.FirstAnswered)
	return decided
}

func (c *child) killedSoonAfter(at time.Time) bool {
	const moment = 250 * time.Millisecond
	for _, k := range c.kills {
		if d := k.Sub(at); d > -moment && d < moment {
			return true
		}
	}
	return false
}

func checkBetween(t *testing.T, what string, at, from, to time.Time) {
	t.Helper()
	const slack = time.Millisecond // the two clocks are one, but are not read at once
	if at.Before(from.Add(-slack)) || at.After(to.Add(slack)) {
		t.Errorf("%s at %v, want within %v and %v", what, at, from, to)
	}
}
