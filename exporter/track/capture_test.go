package track

import (
	"cmp"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"smithproxy_exporter/exporter/capture"
	"smithproxy_exporter/exporter/event"
)

// step is one thing that a connection's proxy sent, and when it came.
type step struct {
	ev event.Event
	at time.Duration // since epoch
}

// connectionsOf groups the events of a capture by connection, access-requests by their label.
func connectionsOf(t *testing.T, path string) map[string][]step {
	t.Helper()
	requests, err := capture.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	of := map[string][]step{}
	var asked []step
	sessions := map[string][]event.Session{}
	for _, r := range requests {
		ev, err := event.Decode(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		s := step{ev, r.At}
		switch m := ev.Payload.(type) {
		case event.Access:
			asked = append(asked, s)
			continue
		case event.Start:
			sessions[ev.ID] = append(sessions[ev.ID], event.ParseSession(m.Session))
		case event.Stop:
			sessions[ev.ID] = append(sessions[ev.ID], event.ParseSession(m.Session))
		case event.Info:
			if m.Echo != nil {
				sessions[ev.ID] = append(sessions[ev.ID], event.ParseSession(m.Echo.Session))
			}
		default:
			continue
		}
		of[ev.ID] = append(of[ev.ID], s)
	}
	for _, s := range asked {
		label := event.ParseSession(s.ev.Payload.(event.Access).Session)
		for id, known := range sessions {
			if matches(known, label) {
				of[id] = append(of[id], s)
			}
		}
	}
	for _, steps := range of {
		slices.SortStableFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	}
	return of
}

func matches(known []event.Session, label event.Session) bool {
	for _, k := range known {
		if k.SameConnection(label) && k.Complete() {
			return true
		}
	}
	return false
}

func (w *world) play(s step) {
	w.now = max(w.now, s.at)
	a, ok := s.ev.Payload.(event.Access)
	if !ok {
		var past *Past
		if w.tracker.NeedsPast(s.ev.Source, s.ev.ID, SessionOf(s.ev)) {
			past = w.store.past(s.ev.Source, s.ev.ID)
		}
		w.tracker.Apply(s.ev, at(s.at), past)
		w.tracker.Changes(w.store)
		return
	}
	verdict := event.Accept
	if strings.HasSuffix(a.Session, ":7000") {
		verdict = event.Reject // Whatever it was: it must come out the same.
	}
	received := at(s.at)
	w.tracker.Decide(Decision{
		Source: s.ev.Source, ID: "decision", ConnectionID: s.ev.ID, Label: a.Session, Policy: a.Policy,
		Verdict: verdict, Rule: "rule", Received: received.Time(), Mono: received.Mono, Answered: received.Time().Add(time.Millisecond),
	}, nil)
	w.tracker.Changes(w.store)
}

// run plays the steps and lets all grace periods pass.
func run(t *testing.T, steps []step) *recorder {
	w := newWorld(t)
	for _, s := range steps {
		w.play(s)
	}
	w.pass(3 * w.config.Connections.GracePeriod)
	return w.recorder
}

var sameRecord = gocmp.Options{
	gocmp.AllowUnexported(Connection{}),
	// How long it waited, and how often it was asked about, depends on the deliveries.
	cmpopts.IgnoreFields(Connection{}, "until", "dirty", "serial", "wakeAt", "prevOfClient", "nextOfClient", "repeats", "repeatedAfter"),
	cmpopts.IgnoreFields(Decision{}, "Requests", "Repeats"),
}

// withoutTimes is for events that came at other times.
var withoutTimes = gocmp.Options{sameRecord,
	cmpopts.IgnoreFields(Connection{}, "started", "stopped", "informed", "first", "alive"),
	cmpopts.IgnoreFields(Decision{}, "Received", "Answered", "Mono", "EchoedAt"),
}

// TestCapturesInAnyOrder plays the events of every captured connection in every order, with repeats,
// and expects the record that the captured order gives.
func TestCapturesInAnyOrder(t *testing.T) {
	files, err := capture.Files(filepath.Join("..", "testdata", "captures"))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			of := connectionsOf(t, file)
			for id, steps := range of {
				steps = distinct(steps)
				want := run(t, steps)
				// Every order of a few connections, some orders of each of many.
				orders, tries := permutations(len(steps)), len(of)
				if tries > 50 {
					random.Shuffle(len(orders), func(i, j int) { orders[i], orders[j] = orders[j], orders[i] })
					orders = orders[:min(len(orders), 2)]
				}
				for _, order := range orders {
					if !asksInOrder(steps, order) {
						continue
					}
					shuffled := make([]step, len(steps))
					for i, j := range order {
						shuffled[i] = steps[j]
					}
					checkSame(t, id+": same times", want, run(t, repeat(random, shuffled)), sameRecord)
					checkSame(t, id+": as they come", want, run(t, repeat(random, retimed(shuffled))), withoutTimes)
				}
			}
		})
	}
}

// asksInOrder reports whether the access-requests keep their order: a proxy sends nothing, and so no other
// request, while one is unanswered.
func asksInOrder(steps []step, order []int) bool {
	last := -1
	for _, i := range order {
		if steps[i].ev.Action == event.ActionAccess {
			if i < last {
				return false
			}
			last = i
		}
	}
	return true
}

func checkSame(t *testing.T, what string, want, got *recorder, opts gocmp.Options) {
	t.Helper()
	if diff := gocmp.Diff(want.finished, got.finished, opts); diff != "" {
		t.Fatalf("%s: record differs (-in order +shuffled):\n%s", what, diff)
	}
	for _, c := range []struct {
		name      string
		want, got int
	}{
		{"Started", count[Started](want), count[Started](got)},
		{"Stopped", count[Stopped](want), count[Stopped](got)},
		{"Profiled", count[Profiled](want), count[Profiled](got)},
		{"Ended", count[Ended](want), count[Ended](got)},
		{"Finished", count[Finished](want), count[Finished](got)},
		{"Unclaimed", count[Unclaimed](want), count[Unclaimed](got)},
		{"Late", 0, count[Late](got)},
		{"decisions", decided(want), decided(got)},
	} {
		if c.want != c.got {
			t.Fatalf("%s: %d %s, want %d", what, c.got, c.name, c.want)
		}
	}
}

// distinct drops repeats of start, stop and info, which the capture may have, so that the number of
// orders stays small; access-requests come twice over SOCKS.
func distinct(steps []step) []step {
	seen := map[event.Action]int{}
	var kept []step
	for _, s := range steps {
		seen[s.ev.Action]++
		if seen[s.ev.Action] == 1 || s.ev.Action == event.ActionAccess {
			kept = append(kept, s)
		}
	}
	return kept
}

// repeat delivers each step up to five times.
func repeat(random *rand.Rand, steps []step) []step {
	var out []step
	for i, s := range steps {
		out = append(out, s)
		for range random.IntN(5) {
			at := i + random.IntN(len(steps)-i)
			again := steps[i]
			again.at = steps[at].at
			if again.at < s.at || s.ev.Action == event.ActionAccess {
				// A request is repeated while it is unanswered, and nothing follows before its answer.
				again.at = s.at
			}
			out = append(out, again)
		}
	}
	return out
}

// retimed has the steps come 10 ms after each other, in the order that they have.
func retimed(steps []step) []step {
	out := make([]step, len(steps))
	for i, s := range steps {
		out[i] = step{s.ev, time.Duration(i) * 10 * time.Millisecond}
	}
	return out
}

func permutations(n int) [][]int {
	if n == 0 {
		return [][]int{{}}
	}
	var out [][]int
	for _, p := range permutations(n - 1) {
		for i := 0; i <= len(p); i++ {
			out = append(out, append(append(append([]int{}, p[:i]...), n-1), p[i:]...))
		}
	}
	return out
}
