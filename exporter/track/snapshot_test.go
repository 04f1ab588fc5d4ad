package track

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"

	"smithproxy_exporter/exporter/capture"
	"smithproxy_exporter/exporter/event"
)

// transcript writes facts down as they come, for the tracker goes on changing what they point to.
type transcript struct {
	t     *testing.T
	lines []string
}

func (s *transcript) take(f Fact) {
	s.t.Helper()
	encoded, err := json.Marshal(f)
	if err != nil {
		s.t.Fatal(err)
	}
	s.lines = append(s.lines, fmt.Sprintf("%T %s", f, encoded))
}

func snapshotOf(t *Tracker) [][]byte { return slices.Collect(t.Snapshot()) }

func restore(t *testing.T, parts [][]byte, emit func(Fact)) *Tracker {
	t.Helper()
	tr := New(DefaultOptions(), emit)
	for _, p := range parts {
		if err := tr.Restore(p); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

func stepsOf(t *testing.T, path string) []step {
	t.Helper()
	requests, err := capture.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	for _, r := range requests {
		ev, err := event.Decode(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step{ev, epoch.Add(r.At)})
	}
	return steps
}

// TestSnapshotAnywhere takes a snapshot at many moments of every capture, and expects the tracker that is
// restored from it to go on just as the one that it was taken of.
func TestSnapshotAnywhere(t *testing.T) {
	paths, err := filepath.Glob("../testdata/captures/*.jsonl")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			steps := stepsOf(t, path)
			random := rand.New(rand.NewPCG(1, uint64(len(steps))))
			moments := map[int]bool{0: true, len(steps) - 1: true}
			for range 3 {
				moments[random.IntN(len(steps))] = true
			}
			for at := range moments {
				checkSnapshot(t, steps, at)
			}
		})
	}
}

func checkSnapshot(t *testing.T, steps []step, at int) {
	before := &transcript{t: t}
	original := New(DefaultOptions(), before.take)
	for _, s := range steps[:at] {
		original.Advance(s.at)
		play(original, s)
	}
	before.lines = nil
	parts := snapshotOf(original)
	after := &transcript{t: t}
	copied := restore(t, parts, after.take)
	if again := snapshotOf(copied); !cmp.Equal(parts, again) {
		t.Fatalf("the snapshot before step %d is another one after it was restored:\n%s", at, cmp.Diff(text(parts), text(again)))
	}
	for _, tr := range []*Tracker{original, copied} {
		last := epoch
		for _, s := range steps[at:] {
			tr.Advance(s.at)
			play(tr, s)
			last = s.at
		}
		for range 3 {
			last = last.Add(DefaultOptions().Linger)
			tr.Advance(last)
		}
		tr.Advance(last.Add(time.Hour))
		tr.Close()
	}
	if diff := cmp.Diff(before.lines, after.lines); diff != "" {
		t.Fatalf("restored before step %d it goes on in another way (-original +restored):\n%s", at, diff)
	}
}

func text(parts [][]byte) []string {
	var lines []string
	for _, p := range parts {
		lines = append(lines, string(p))
	}
	return lines
}

func TestRestoreAfterDamage(t *testing.T) {
	w := newWorld(t)
	w.ping("Proxy-A1")
	w.ask(event.Accept, event.PolicyUnknown)
	w.start(idA)
	w.send(event.ActionNeighbor, "", event.Neighbor{Addresses: []string{"10.77.1.2"}, State: event.NeighborNew})
	parts := snapshotOf(w.tracker)
	// Any part can be missing.
	for i := range parts {
		r := &recorder{}
		tr := restore(t, slices.Delete(slices.Clone(parts), i, i+1), r.take)
		tr.Resume(w.now)
		tr.Introduce()
		tr.Apply(event.Event{Action: event.ActionStop, Source: source, ID: idA, Payload: event.Stop{Session: label}}, w.now)
		tr.Advance(w.now.Add(time.Minute))
		if count[Finished](r) != 1 {
			t.Errorf("without %s: finished %d times, want once", parts[i], count[Finished](r))
		}
	}
	if err := New(DefaultOptions(), w.take).Restore([]byte("{")); err == nil {
		t.Error("half a part is taken")
	}
}

func FuzzRestore(f *testing.F) {
	tr := New(DefaultOptions(), func(Fact) {})
	for _, id := range []string{idA, idB} {
		tr.Apply(event.Event{Action: event.ActionStart, Source: source, ID: id, Payload: event.Start{Session: label}}, epoch)
	}
	tr.Decide(Decision{Source: source, Label: label, Received: epoch, Answered: epoch})
	for part := range tr.Snapshot() {
		f.Add(part)
	}
	f.Add([]byte(`{"Connection":{"Source":"a","ID":"Proxy-A1-OID-1"}}`)) // of the year 1
	f.Add([]byte(`{"Connection":{"Source":"a","ID":"Proxy-A1-OID-1","Ages":-1}}`))
	f.Fuzz(func(t *testing.T, part []byte) {
		tr := New(DefaultOptions(), func(Fact) {})
		if tr.Restore(part) != nil {
			return
		}
		tr.Resume(epoch)
		tr.Introduce()
		for range tr.Snapshot() {
		}
		tr.Advance(epoch.Add(time.Hour))
		tr.Close()
	})
}
