package track

import (
	"testing"
	"time"

	"smithproxy_exporter/exporter/event"
)

func TestDecisions(t *testing.T) {
	t.Run("over SOCKS two requests are one decision", func(t *testing.T) {
		w := newWorld(t)
		w.startAs(idA, "tcp_10.77.1.2:40762+0:0")
		w.ask(event.Accept, 2)
		w.ask(event.Accept, 2)
		w.stop(idA)
		w.info(idA, event.Accept)
		w.wantFinished(ReasonStop)
		if d := w.finished[0].Decision; d == nil || d.Requests != 2 {
			t.Errorf("decision %+v, want one with two requests", d)
		}
		if n := decided(w.recorder); n != 1 {
			t.Errorf("%d decisions", n)
		}
	})
	t.Run("a port that is used again asks for itself", func(t *testing.T) {
		w := newWorld(t)
		for _, id := range []string{idA, "Proxy-A1-OID-2"} {
			w.ask(event.Accept, event.PolicyUnknown)
			w.start(id)
			w.stop(id)
			w.pass(10 * time.Second)
		}
		if n := decided(w.recorder); n != 2 {
			t.Errorf("%d decisions, want 2", n)
		}
	})
	t.Run("one that no connection claims", func(t *testing.T) {
		w := newWorld(t)
		w.ask(event.Reject, event.PolicyUnknown)
		w.pass(DefaultConfig().Connections.GracePeriod)
		if n := count[Unclaimed](w.recorder); n != 1 {
			t.Errorf("%d unclaimed, want 1", n)
		}
		w.pass(DefaultConfig().Connections.GracePeriod)
		if n := count[Unclaimed](w.recorder); n != 1 {
			t.Errorf("%d unclaimed after another grace, want 1", n)
		}
	})
}

// askAs asks about a connection, and names the decision.
func (w *world) askAs(id, label string, policy int) {
	w.decide(Decision{Source: source, ID: id, Label: label, Policy: policy, Verdict: event.Accept, Rule: "r"})
}

func (w *world) echo(connection, label, decision string) {
	w.send(event.ActionInfo, connection, event.Info{Echo: &event.Echo{
		Session: label, Verdict: event.Accept, Decision: decision,
	}})
}

// decisionOf returns the id of the decision that a finished connection has; "" for none.
func (w *world) decisionOf(connection string) string {
	w.t.Helper()
	for _, c := range w.finished {
		if c.ID == connection {
			if c.Decision == nil {
				return ""
			}
			return c.Decision.ID
		}
	}
	w.t.Fatalf("%s is not finished", connection)
	return ""
}

func (w *world) want(connection, decision string) {
	w.t.Helper()
	if got := w.decisionOf(connection); got != decision {
		w.t.Errorf("%s has decision %q, want %q", connection, got, decision)
	}
}

func TestEchoJoins(t *testing.T) {
	const (
		idC      = "Proxy-A1-OID-2"
		noServer = "tcp_10.77.1.2:40762+0:0"
		other    = "tcp_10.77.1.2:50000+tcp_10.77.2.2:8080"
	)
	grace := DefaultConfig().Connections.GracePeriod
	t.Run("whatever the label is", func(t *testing.T) {
		w := newWorld(t)
		w.askAs("d1", other, event.PolicyUnknown)
		w.startAs(idA, label)
		w.stop(idA)
		w.echo(idA, label, "d1")
		w.want(idA, "d1")
		w.pass(2 * grace)
		if n := count[Unclaimed](w.recorder); n != 0 {
			t.Errorf("%d unclaimed", n)
		}
	})
	t.Run("a label that cannot be parsed", func(t *testing.T) {
		w := newWorld(t)
		w.askAs("d1", "no label", event.PolicyUnknown)
		w.echo(idA, label, "d1")
		w.start(idA)
		w.stop(idA)
		w.want(idA, "d1")
	})
	t.Run("the second answer over SOCKS", func(t *testing.T) {
		w := newWorld(t)
		w.askAs("d1", label, 2)
		w.askAs("d2", label, 2)
		w.echo(idA, "no label", "d2")
		w.start(idA)
		w.stop(idA)
		w.want(idA, "d1")
		if n := corrected(w.recorder); n != 0 {
			t.Errorf("recounted %d times", n)
		}
	})
	t.Run("the answer to a repeat", func(t *testing.T) {
		w := newWorld(t)
		w.askAs("d1", label, event.PolicyUnknown)
		w.askAs("d2", label, event.PolicyUnknown)
		w.start(idA)
		w.stop(idA)
		w.echo(idA, label, "d2")
		w.want(idA, "d1")
		w.pass(2 * grace)
		if n := count[Unclaimed](w.recorder) + corrected(w.recorder); n != 0 {
			t.Errorf("%d unclaimed or recounted", n)
		}
	})
	t.Run("the answer to a repeat, of a connection that never starts", func(t *testing.T) {
		w := newWorld(t)
		w.askAs("d1", label, event.PolicyUnknown)
		w.askAs("d2", label, event.PolicyUnknown)
		w.send(event.ActionInfo, idA, event.Info{Echo: &event.Echo{Session: label, Verdict: event.Reject, Decision: "d2"}})
		w.want(idA, "d1")
		if n := corrected(w.recorder); n != 0 {
			t.Errorf("recounted %d times", n)
		}
	})
	t.Run("another decision than the label's", func(t *testing.T) {
		w := newWorld(t)
		w.askAs("d1", noServer, 2)
		w.start(idA) // takes d1, whose connection has not been heard of
		w.stop(idA)
		w.askAs("d2", other, 2)
		w.echo(idA, label, "d2")
		w.want(idA, "d2")
		w.startAs(idC, label)
		w.stop(idC)
		w.echo(idC, label, "d1")
		w.want(idC, "d1")
	})
	t.Run("two that have each other's", func(t *testing.T) {
		w := newWorld(t)
		w.startAs(idA, noServer)
		w.startAs(idC, noServer)
		w.decide(Decision{Source: source, ID: "d1", ConnectionID: idC, Label: noServer, Policy: 2})
		w.stop(idA)
		w.echo(idA, label, "d1")
		w.want(idA, "d1")
	})
	t.Run("one that is not known", func(t *testing.T) {
		w := newWorld(t)
		w.askAs("d1", label, event.PolicyUnknown)
		w.echo(idA, label, "of another exporter")
		w.start(idA)
		w.stop(idA)
		w.pass(grace)
		w.want(idA, "")
		if n := count[Unclaimed](w.recorder); n != 1 {
			t.Errorf("%d unclaimed, want 1", n)
		}
	})
}

// TestPortUsedAgainAtOnce is a client that takes the port of a connection that has just ended.
func TestPortUsedAgainAtOnce(t *testing.T) {
	const idC = "Proxy-A1-OID-2"
	tests := map[string]struct {
		first     func(*world) // of the first connection, before the second asks
		recounted int
	}{
		"after its echo":    {func(w *world) { w.stop(idA); w.echo(idA, label, "d1") }, 0},
		"before its echo":   {func(w *world) { w.stop(idA) }, 1},
		"without its stop":  {func(*world) {}, 1},
		"after it was told": {func(w *world) { w.echo(idA, label, "d1"); w.stop(idA) }, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.askAs("d1", label, event.PolicyUnknown)
			w.start(idA)
			w.pass(100 * time.Millisecond)
			tt.first(w)
			w.pass(500 * time.Millisecond)
			w.askAs("d2", label, event.PolicyUnknown)
			w.start(idC)
			w.pass(100 * time.Millisecond)
			w.stop(idC)
			w.pass(10 * time.Second)
			w.echo(idA, label, "d1")
			w.echo(idC, label, "d2")
			w.stop(idA)
			w.pass(2 * DefaultConfig().Connections.GracePeriod)
			w.want(idA, "d1")
			w.want(idC, "d2")
			if n := decided(w.recorder); n != 2 {
				t.Errorf("%d decisions were counted, want 2", n)
			}
			if n := corrected(w.recorder); n != tt.recounted {
				t.Errorf("%d were recounted, want %d", n, tt.recounted)
			}
			if n := count[Unclaimed](w.recorder); n != 0 {
				t.Errorf("%d unclaimed", n)
			}
		})
	}
}

// TestEchoAfterRestart restores the state between the requests and the echo.
func TestEchoAfterRestart(t *testing.T) {
	const idC = "Proxy-A1-OID-2"
	w := newWorld(t)
	w.askAs("d1", label, event.PolicyUnknown)
	w.askAs("d2", label, event.PolicyUnknown) // of another connection, though it looks like a repeat
	w.start(idA)
	w.stop(idA)
	w.restart()
	w.start(idC)
	w.stop(idC)
	w.restart()
	w.echo(idC, label, "d1") // the label was wrong about both
	w.restart()
	w.echo(idA, label, "d2")
	w.pass(2 * DefaultConfig().Connections.GracePeriod)
	w.want(idC, "d1")
	w.want(idA, "d2")
	if decided, unclaimed := decided(w.recorder), count[Unclaimed](w.recorder); decided != 2 || unclaimed != 0 {
		t.Errorf("%d decisions, %d of them unclaimed, want 2 and 0", decided, unclaimed)
	}
}

// TestStreamsAskBeforeTheyStart has a stream whose own decision was lost, with a crash: it does not get that of another
// stream of its QUIC connection, which has the same label.
func TestStreamsAskBeforeTheyStart(t *testing.T) {
	const label = "mf_10.0.0.2:50000+mf_10.1.1.1:443"
	const first, second = idA, "Proxy-A1-OID-2"
	for _, when := range []string{"before the other stream starts", "after"} {
		t.Run("the first stream stops "+when, func(t *testing.T) {
			w := newWorld(t)
			w.startAs(first, label)
			w.pass(100 * time.Millisecond)
			w.askAs("d2", label, 3)
			if when != "after" {
				w.stopAs(first, label)
			}
			w.startAs(second, label)
			w.stopAs(second, label)
			if when == "after" {
				w.stopAs(first, label)
			}
			w.pass(time.Minute)
			w.want(first, "")
			w.want(second, "d2")
		})
	}
}

// TestStreamsSwapDecisions has the starts of two streams overtake each other, and the info of one lost.
func TestStreamsSwapDecisions(t *testing.T) {
	const label = "mf_10.0.0.2:50000+mf_10.1.1.1:443"
	const first, second = idA, "Proxy-A1-OID-2"
	w := newWorld(t)
	w.askAs("d1", label, 3)
	w.pass(time.Millisecond)
	w.askAs("d2", label, 3)
	w.pass(time.Millisecond)
	w.startAs(second, label)
	w.startAs(first, label)
	w.stopAs(second, label)
	w.stopAs(first, label)
	w.echo(first, label, "d1")
	w.pass(time.Minute)
	w.want(first, "d1")
	w.want(second, "d2")
}

// The verdict of a connection is what its proxy acted on, if the proxy said so; the rule is that of the same answer.
func TestVerdictIsWhatTheProxyEchoes(t *testing.T) {
	decided := &Decision{Verdict: event.Accept, Rule: "ours"}
	for name, tt := range map[string]struct {
		decision *Decision
		echo     *event.Echo
		verdict  event.Verdict
		rule     string
	}{
		"neither":                 {},
		"decision":                {decided, nil, event.Accept, "ours"},
		"echo without a verdict":  {decided, &event.Echo{Rule: "theirs"}, event.Accept, "ours"},
		"echo of the decision":    {decided, &event.Echo{Verdict: event.Accept, Rule: "theirs"}, event.Accept, "ours"},
		"echo of another verdict": {decided, &event.Echo{Verdict: event.Reject, Rule: "theirs"}, event.Reject, "theirs"},
		"echo":                    {nil, &event.Echo{Verdict: event.Reject, Rule: "theirs"}, event.Reject, "theirs"},
		"empty echo":              {nil, &event.Echo{}, "", ""},
	} {
		verdict, rule, ok := (&Connection{Decision: tt.decision, Echo: tt.echo}).Verdict()
		if verdict != tt.verdict || rule != tt.rule || ok != (tt.verdict != "") {
			t.Errorf("%s: %q by %q, %v", name, verdict, rule, ok)
		}
	}
}
