package track

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"smithproxy_exporter/exporter/event"
)

// transitions is what next makes of every input in every state. "·" changes nothing.
const transitions = `
input          none      open      absence   replaced  info      restart   reject    stop      closed
alive          open      ·         ·         ·         ·         ·         ·         ·         ·
listed         open      ·         open      ·         ·         ·         ·         ·         ·
stop           stop      stop      stop      stop      stop      stop      ·         ·         ·
info           info      info      info      info      ·         ·         ·         ·         ·
reject         reject    reject    reject    reject    reject    reject    ·         ·         ·
absent         absence   absence   ·         ·         ·         ·         ·         ·         ·
replaced       replaced  replaced  ·         ·         ·         ·         ·         ·         ·
restart        restart   restart   ·         ·         ·         ·         ·         ·         ·
shutdown       ·         ·         ·         ·         restart   ·         ·         ·         ·
idle           closed    closed    ·         ·         ·         ·         ·         ·         ·
down           closed    closed    ·         ·         ·         ·         ·         ·         ·
evict          closed    closed    closed    closed    closed    closed    closed    closed    ·
grace over     ·         ·         closed    closed    closed    closed    closed    closed    ·
complete       ·         ·         closed    closed    closed    closed    closed    closed    ·
`

// TestTransitions walks every cell of the table.
func TestTransitions(t *testing.T) {
	inputNames := [inputs]string{
		"alive", "listed", "stop", "info", "reject", "absent", "replaced", "restart", "shutdown", "idle", "down", "evict",
		"grace over", "complete",
	}
	columns := []struct {
		name  string
		state State
		cause Cause
	}{
		{"none", stateNone, causeNone}, {"open", StateOpen, causeNone}, {"absence", StateClosing, CauseAbsence},
		{"replaced", StateClosing, CauseReplaced}, {"info", StateClosing, CauseInfo}, {"restart", StateClosing, CauseRestart},
		{"reject", StateClosing, CauseReject}, {"stop", StateClosing, CauseStop}, {"closed", StateClosed, CauseStop},
	}
	var table strings.Builder
	line := func(cells ...string) {
		text := ""
		for i, cell := range cells {
			text += fmt.Sprintf("%-*s", map[bool]int{true: 15, false: 10}[i == 0], cell)
		}
		table.WriteString("\n" + strings.TrimRight(text, " "))
	}
	header := []string{"input"}
	for _, c := range columns {
		header = append(header, c.name)
	}
	line(header...)
	for in := range inputs {
		cells := []string{inputNames[in]}
		for _, from := range columns {
			state, cause := next(from.state, from.cause, in)
			cell := "·"
			for _, to := range columns {
				switch {
				case state == from.state && cause == from.cause:
				case state == StateClosed:
					cell = "closed"
					if from.state == StateClosing && cause != from.cause {
						t.Errorf("%s in %s closes for %d", inputNames[in], from.name, cause)
					}
				case to.state == state && to.cause == cause:
					cell = to.name
				}
			}
			cells = append(cells, cell)
		}
		line(cells...)
	}
	table.WriteString("\n")
	if diff := cmp.Diff(transitions, table.String()); diff != "" {
		t.Errorf("the table differs (-want +got):\n%s", diff)
	}
	for in, want := range map[input]Reason{inIdle: ReasonLost, inDown: ReasonLost, inEvict: ReasonEvicted} {
		if _, cause := next(StateOpen, causeNone, in); cause.Reason() != want {
			t.Errorf("%s of an open connection closes it as %s, want %s", inputNames[in], cause.Reason(), want)
		}
	}
	design, err := os.ReadFile("../../docs/design.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(design), transitions) {
		t.Error("docs/design.md has another table")
	}
}

// TestReusedID plays a PTR id that comes again within one boot.
func TestReusedID(t *testing.T) {
	const (
		id     = "Proxy-9F01-PTR-7F3A4C0012A0"
		second = "tcp_10.0.0.9:40404+tcp_192.0.2.11:443"
		third  = "tcp_10.0.0.9:40405+tcp_192.0.2.11:443"
	)
	infoOf := func(label string) event.Info {
		return event.Info{Statistics: &event.Statistics{Session: label, Up: &event.Entropy{Bits: 5, Sampled: 10}}}
	}
	names := func(w *world) string {
		var all []string
		for _, c := range w.finished {
			all = append(all, fmt.Sprintf("%s:%s:%s", c.Name()[len(id):], c.Session().Client.Host, c.Reason()))
		}
		return strings.Join(all, " ")
	}
	tests := map[string]struct {
		play    func(w *world)
		want    string
		repeats int
	}{
		"after it has closed": {func(w *world) {
			w.start(id)
			w.stop(id)
			w.send(event.ActionInfo, id, infoOf(label))
			w.startAs(id, second)
			w.stopAs(id, second)
			w.send(event.ActionInfo, id, infoOf(second))
		}, ":10.77.1.2:stop #2:10.0.0.9:stop", 0},
		"while its info is under way": {func(w *world) {
			w.start(id)
			w.stop(id)
			w.startAs(id, second)
			w.send(event.ActionInfo, id, infoOf(label))
			w.stopAs(id, second)
			w.send(event.ActionInfo, id, infoOf(second))
		}, ":10.77.1.2:stop #2:10.0.0.9:stop", 0},
		"its stop was lost": {func(w *world) {
			w.start(id)
			w.startAs(id, second)
			w.stopAs(id, second)
			w.send(event.ActionInfo, id, infoOf(second))
			w.pass(w.config.Connections.GracePeriod)
		}, "#2:10.0.0.9:stop :10.77.1.2:lost", 0},
		"its stop overtakes its start": {func(w *world) {
			w.start(id)
			w.stop(id)
			w.send(event.ActionInfo, id, infoOf(label))
			w.stopAs(id, second)
			w.startAs(id, second)
			w.send(event.ActionInfo, id, infoOf(second))
		}, ":10.77.1.2:stop #2:10.0.0.9:stop", 0},
		"three times, with repeats of each, over restarts": {func(w *world) {
			for _, l := range []string{label, second, third} {
				w.startAs(id, l)
				w.restart()
				w.stopAs(id, l)
				w.restart()
				w.send(event.ActionInfo, id, infoOf(l))
				w.restart()
			}
			for _, l := range []string{label, second, third} {
				w.startAs(id, l)
				w.stopAs(id, l)
				w.restart()
				w.send(event.ActionInfo, id, infoOf(l))
			}
		}, ":10.77.1.2:stop #2:10.0.0.9:stop #3:10.0.0.9:stop", 9},
		"an info that names no client goes to the latest": {func(w *world) {
			w.start(id)
			w.stop(id)
			w.startAs(id, second)
			w.stopAs(id, second)
			w.send(event.ActionInfo, id, event.Info{})
			w.pass(w.config.Connections.GracePeriod)
		}, "#2:10.0.0.9:stop :10.77.1.2:stop", 0},
		"the same client is a repeat": {func(w *world) {
			w.start(id)
			w.stop(id)
			w.send(event.ActionInfo, id, infoOf(label))
			w.pass(23 * time.Hour)
			w.start(id)
			w.stop(id)
		}, ":10.77.1.2:stop", 2},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.play(w)
			if got := names(w); got != tt.want {
				t.Errorf("finished %q, want %q", got, tt.want)
			}
			if n := repeats(w.recorder); n != tt.repeats {
				t.Errorf("%d repeats, want %d", n, tt.repeats)
			}
			if n := w.status().Open; n != 0 {
				t.Errorf("%d are open", n)
			}
		})
	}
}

// TestShutdown: infos of many connections without stops are a shutdown, if the proxy says nothing else then or
// has another boot id; a single one is a lost stop.
func TestShutdown(t *testing.T) {
	id := func(i int) string { return fmt.Sprintf("Proxy-A1-OID-%X", i) }
	as := func(i int) string { return fmt.Sprintf("tcp_10.77.1.2:%d+tcp_10.77.2.2:8080", 1000+i) }
	begin := func(w *world, n int) {
		for i := range n {
			w.startAs(id(i), as(i))
		}
		w.pass(4 * time.Second)
	}
	infos := func(w *world, n int) {
		for i := range n {
			w.send(event.ActionInfo, id(i), event.Info{Statistics: &event.Statistics{Session: as(i)}})
		}
	}
	tests := map[string]struct {
		play func(w *world)
		want map[Reason]int
	}{
		"infos, and another boot": {func(w *world) {
			begin(w, 5)
			w.pass(10 * time.Second)
			infos(w, 5)
			w.pass(3 * time.Second)
			w.ping("Proxy-B2")
		}, map[Reason]int{ReasonRestart: 5}},
		"infos, and silence": {func(w *world) {
			begin(w, 5)
			infos(w, 5)
		}, map[Reason]int{ReasonRestart: 5}},
		"infos of both, and silence": {func(w *world) {
			begin(w, 2)
			infos(w, 2)
		}, map[Reason]int{ReasonRestart: 2}},
		"infos of two of five, and silence": {func(w *world) {
			begin(w, 5)
			infos(w, 2)
		}, map[Reason]int{ReasonLost: 2}},
		"the info of the only one, and silence": {func(w *world) {
			begin(w, 1)
			infos(w, 1)
		}, map[Reason]int{ReasonLost: 1}},
		"infos of connections that nothing is known of": {func(w *world) {
			infos(w, 5)
		}, map[Reason]int{ReasonLost: 5}},
		"another boot, and then infos": {func(w *world) {
			begin(w, 5)
			w.ping("Proxy-B2")
			infos(w, 5)
		}, map[Reason]int{ReasonRestart: 5}},
		"infos of some, then an event, and another boot": {func(w *world) {
			begin(w, 5)
			infos(w, 3)
			w.startAs(id(7), as(7))
			w.ping("Proxy-B2")
		}, map[Reason]int{ReasonLost: 3, ReasonRestart: 3}},
		"infos of some, and another boot": {func(w *world) {
			begin(w, 5)
			infos(w, 3)
			w.ping("Proxy-B2")
		}, map[Reason]int{ReasonRestart: 5}},
		"the only connection's info is the last word": {func(w *world) {
			begin(w, 1)
			infos(w, 1)
			w.pass(3 * time.Second)
			w.ping("Proxy-B2")
		}, map[Reason]int{ReasonRestart: 1}},
		"no info, and another boot": {func(w *world) {
			begin(w, 5)
			w.ping("Proxy-B2")
		}, map[Reason]int{ReasonRestart: 5}},
		"lost stops of a proxy that runs on": {func(w *world) {
			begin(w, 5)
			infos(w, 4)
			w.pass(10 * time.Second)
			w.ping("Proxy-A1", id(4))
		}, map[Reason]int{ReasonLost: 4}},
		"a lost stop, and much later another boot": {func(w *world) {
			begin(w, 5)
			infos(w, 1)
			w.pass(10 * time.Second)
			w.ping("Proxy-A1", id(4))
			w.pass(10 * time.Second)
			w.ping("Proxy-B2")
		}, map[Reason]int{ReasonLost: 1, ReasonRestart: 4}},
		"stops that were only overtaken": {func(w *world) {
			begin(w, 5)
			infos(w, 5)
			for i := range 5 {
				w.stopAs(id(i), as(i))
			}
			w.ping("Proxy-B2")
		}, map[Reason]int{ReasonStop: 5}},
	}
	for name, tt := range tests {
		for _, restart := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, restart %v", name, restart), func(t *testing.T) {
				w := newWorld(t)
				tt.play(w)
				if restart {
					w.restart()
				}
				w.pass(w.config.Connections.GracePeriod)
				w.pass(w.config.Connections.GracePeriod)
				got := map[Reason]int{}
				for _, c := range w.finished {
					got[c.Reason()]++
					if end, estimated := c.End(); c.Reason() == ReasonRestart && (!estimated || c.alive.IsZero() && !end.Equal(c.started.Time())) {
						t.Errorf("%s ends at %v (estimated %v), want when it was last known to be alive", c.ID, end, estimated)
					}
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("reasons (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestWallClockIsSet: no deadline depends on it.
func TestWallClockIsSet(t *testing.T) {
	for name, jump := range map[string]time.Duration{"back": -5 * time.Hour, "forward": 5 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.ping("Proxy-A1")
			w.start(idA)
			w.start("Proxy-A1-OID-2")
			w.pass(time.Second)
			// From here on the wall clock says something else.
			after := func(d time.Duration) Instant { i := at(w.now + d); i.Wall += int64(jump); return i }
			w.tracker.Apply(event.Event{Action: event.ActionStop, Source: source, ID: idA, Payload: event.Stop{Session: label}}, after(time.Second), nil)
			for w.tracker.Advance(after(2 * time.Second)) {
			}
			w.tracker.Flush()
			if s := w.status(); !s.Up || s.Open != 1 || len(w.finished) != 0 {
				t.Fatalf("%+v, %d finished", s, len(w.finished))
			}
			for w.tracker.Advance(after(w.config.Connections.GracePeriod + time.Second)) {
			}
			w.wantFinished(ReasonStop)
			start, _ := w.finished[0].Start()
			if end, _ := w.finished[0].End(); end.Before(start) {
				t.Errorf("it ends at %v, before it begins at %v", end, start)
			}
		})
	}
}

// TestNewerMessages plays the messages of newer smithproxies, and all orders of those of one id.
func TestNewerMessages(t *testing.T) {
	w := newWorld(t)
	const ssh = "Proxy-1234ABCD-SID-1A"
	w.startAs(ssh, "ssh_10.0.0.2:50001+ssh_192.0.2.10:22")
	w.restart()
	w.tracker.Resume(at(w.now))
	w.pass(time.Second)
	w.send(event.ActionPing, "", event.Ping{Instance: "Proxy-1234ABCD", Listed: true, Open: []string{ssh, "Proxy-1234ABCD-SID-2"}, Full: true,
		Sessions: []event.OpenSession{{ID: ssh}, {ID: "Proxy-1234ABCD-SID-2", Session: "tcp_10.0.0.2:50009+tcp_192.0.2.10:80"}}})
	if n := count[Adopted](w.recorder); n != 1 || w.status().Open != 2 {
		t.Errorf("%d adopted, %d open, want 1 and 2", n, w.status().Open)
	}
	w.pass(time.Minute)
	w.send(event.ActionPing, "", event.Ping{Instance: "Proxy-1234ABCD", Listed: true})
	w.pass(time.Minute)
	w.send(event.ActionPing, "", event.Ping{Instance: "Proxy-1234ABCD", Listed: true})
	w.pass(w.config.Connections.GracePeriod)
	w.wantFinished(ReasonLost, ReasonLost)
}
