package track

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"smithproxy_exporter/exporter/capture"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/privacy"
)

// transcript writes facts down as they come, for the tracker goes on changing what they point to.
type transcript []string

func (s *transcript) take(f Fact) {
	encoded, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	line := fmt.Sprintf("%T %s", f, encoded)
	if f, ok := f.(Finished); ok {
		start, _ := f.C.Start()
		end, _ := f.C.End()
		line += fmt.Sprint(start, end)
	}
	*s = append(*s, line)
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
		steps = append(steps, step{ev, r.At})
	}
	return steps
}

// eachCapture runs a test on the events of each capture.
func eachCapture(t *testing.T, test func(t *testing.T, steps []step)) {
	paths, err := filepath.Glob("../testdata/captures/*.jsonl")
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			t.Parallel()
			test(t, stepsOf(t, path))
		})
	}
}

// TestRestartAnywhere restores the state at many moments of every capture, and expects the tracker that is
// restored to go on just as the one that wrote the records.
func TestRestartAnywhere(t *testing.T) {
	eachCapture(t, func(t *testing.T, steps []step) {
		random := rand.New(rand.NewPCG(1, uint64(len(steps))))
		moments := map[int]bool{0: true, len(steps) - 1: true}
		for range 3 {
			moments[random.IntN(len(steps))] = true
		}
		for at := range moments {
			checkRestart(t, steps, at)
		}
	})
}

func checkRestart(t *testing.T, steps []step, moment int) {
	w := newWorld(t)
	for _, s := range steps[:moment] {
		w.play(s)
	}
	w.advance() // a list that is being worked through is not stored
	stored := maps.Clone(w.store.records)
	var original, restored transcript
	w.tracker.emit = original.take
	copied := newWorld(t)
	copied.store.records, copied.store.tombstones = stored, maps.Clone(w.store.tombstones)
	copied.now = w.now
	copied.tracker = copied.store.restore(t, copied.config, func(Fact) {})
	copied.tracker.Flush()
	copied.tracker.emit = restored.take
	for source, p := range w.tracker.proxies { // what is kept in memory only
		if q, ok := copied.tracker.proxies[source]; ok {
			q.resync = p.resync
			for closed := range p.decisions.closedQueue.all() {
				q.decisions.close(closed.d, closed.at)
			}
		}
	}
	for _, w := range []*world{w, copied} {
		for _, s := range steps[moment:] {
			w.play(s)
			w.advance()
		}
		for range 3 {
			w.pass(w.config.Connections.GracePeriod)
		}
		w.pass(time.Hour)
	}
	if diff := cmp.Diff([]string(original), []string(restored)); diff != "" {
		t.Fatalf("restored before step %d it goes on in another way (-original +restored):\n%s", moment, diff)
	}
	// The record of a proxy is not written for every event.
	ofProxy := func(k storedKey, _ []byte) bool { return k.kind == KindProxy }
	maps.DeleteFunc(w.store.records, ofProxy)
	maps.DeleteFunc(copied.store.records, ofProxy)
	if diff := cmp.Diff(w.store.records, copied.store.records); diff != "" {
		t.Fatalf("restored before step %d it leaves other records (-original +restored):\n%s", moment, diff)
	}
}

func TestRestoreAfterDamage(t *testing.T) {
	w := newWorld(t)
	w.ping("Proxy-A1")
	w.ask(event.Accept, event.PolicyUnknown)
	w.start(idA)
	w.send(event.ActionNeighbor, "", event.Neighbor{Addresses: []string{"10.77.1.2"}, State: event.NeighborNew})
	for _, missing := range w.store.sorted() {
		r := &recorder{}
		records := maps.Clone(w.store.records)
		delete(records, missing)
		copied := newWorld(t)
		copied.store.records = records
		copied.tracker, copied.recorder = copied.store.restore(t, copied.config, r.take), r
		copied.tracker.Resume(at(0))
		copied.tracker.Publish()
		copied.stop(idA)
		copied.pass(time.Minute)
		if count[Finished](r) != 1 {
			t.Errorf("without %v: finished %d times, want once", missing, count[Finished](r))
		}
	}
	for kind := range KindNeighbor + 2 {
		if err := New(DefaultConfig(), w.take).Restore(kind, source, "key", []byte("{")); kind != KindTracker && err == nil {
			t.Errorf("a record of kind %d is taken that is none", kind)
		}
	}
}

// FuzzRestore has any bytes for a record: they are refused, or do no harm.
func FuzzRestore(f *testing.F) {
	w := newWorld(new(testing.T))
	w.ping("Proxy-A1")
	w.ask(event.Accept, event.PolicyUnknown)
	w.start(idA)
	w.stop(idA)
	w.start("Proxy-A1-OID-2")
	w.send(event.ActionNeighbor, "", event.Neighbor{Addresses: []string{"10.77.1.2"}})
	for key, record := range w.store.records {
		f.Add(uint8(key.kind), record)
	}
	hashed := addresses(privacy.AddressesHashed)
	f.Fuzz(func(t *testing.T, kind uint8, record []byte) {
		for _, policy := range []*privacy.Policy{nil, hashed} {
			w := newWorld(t)
			w.tracker.Privacy = policy
			if w.tracker.Restore(Kind(kind), source, "key", record) != nil {
				return
			}
			w.tracker.Resume(at(0))
			w.tracker.Publish()
			w.start(idA)
			w.pass(time.Hour)
			w.pass(3 * time.Hour)
		}
	})
}
