package track

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"smithproxy_exporter/exporter/event"
)

const (
	source = "sx-lab-1"
	label  = "tcp_10.77.1.2:40762+tcp_10.77.2.2:8080"
	idA    = "Proxy-A1-OID-1"
	idB    = "Proxy-B2-OID-1"
)

var epoch = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// at is the instant so long after epoch; the exporter had been running for a while then.
func at(d time.Duration) Instant { return At(epoch.Add(d), time.Minute+d) }

// world is a tracker with a clock and a store.
type world struct {
	t *testing.T
	*recorder
	tracker *Tracker
	store   *memoryStore
	config  Config
	now     time.Duration // since epoch
}

func newWorld(t *testing.T, change ...func(*Config)) *world {
	w := &world{t: t, config: DefaultConfig(), recorder: &recorder{}, store: newMemoryStore()}
	for _, c := range change {
		c(&w.config)
	}
	w.tracker = New(w.config, w.recorder.take)
	return w
}

// advance does all that is due.
func (w *world) advance() {
	for w.tracker.Advance(at(w.now)) || w.adopt() {
	}
	w.tracker.Flush()
	w.tracker.Changes(w.store)
}

func (w *world) adopt() (more bool) {
	found := w.tracker.Adoptable(10)
	for _, a := range found {
		if w.store.past(a.Source, a.ID) == nil {
			w.tracker.Adopt(a)
		}
	}
	return len(found) > 0
}

func (w *world) pass(d time.Duration) {
	w.now += d
	w.advance()
}

func (w *world) apply(ev event.Event) (ask bool) {
	var past *Past
	if w.tracker.NeedsPast(ev.Source, ev.ID, SessionOf(ev)) {
		past = w.store.past(ev.Source, ev.ID)
	}
	ask = w.tracker.Apply(ev, at(w.now), past)
	w.advance()
	return ask
}

func (w *world) decide(d Decision) {
	d.Received, d.Mono = at(w.now).Time(), at(w.now).Mono
	d.Answered = d.Received.Add(time.Millisecond)
	var past *Past
	if w.tracker.NeedsPast(d.Source, d.ConnectionID, d.Label) {
		past = w.store.past(d.Source, d.ConnectionID)
	}
	w.tracker.Decide(d, past)
	w.advance()
}

// restart goes on with a tracker that is restored from the store.
func (w *world) restart() {
	w.t.Helper()
	w.tracker = w.store.restore(w.t, w.config, w.recorder.take)
}

func (w *world) send(action event.Action, id string, payload any) {
	w.apply(event.Event{Action: action, Source: source, ID: id, Payload: payload})
}

func (w *world) start(id string) { w.startAs(id, label) }

func (w *world) startAs(id, label string) {
	w.send(event.ActionStart, id, event.Start{Session: label})
}

func (w *world) stop(id string) { w.stopAs(id, label) }

func (w *world) stopAs(id, label string) {
	w.send(event.ActionStop, id, event.Stop{Session: label, BytesUp: 10, BytesDown: 20})
}

func (w *world) info(id string, echo event.Verdict) {
	i := event.Info{Statistics: &event.Statistics{Session: label, Up: &event.Entropy{Bits: 5, Sampled: 10}}}
	if echo != "" {
		i = event.Info{Echo: &event.Echo{Session: label, Verdict: echo}}
	}
	w.send(event.ActionInfo, id, i)
}

func (w *world) ping(instance string, open ...string) {
	w.send(event.ActionPing, "", event.Ping{Instance: instance, Listed: true, Open: open})
}

func (w *world) ask(verdict event.Verdict, policy int) {
	w.decide(Decision{Source: source, ID: "d", Label: label, Policy: policy, Verdict: verdict, Rule: "r"})
}

func (w *world) wantFinished(reasons ...Reason) {
	w.t.Helper()
	var got []Reason
	for _, c := range w.finished {
		got = append(got, c.Reason())
	}
	if fmt.Sprint(got) != fmt.Sprint(reasons) {
		w.t.Fatalf("finished %v, want %v", got, reasons)
	}
}

// status is the latest one of the proxy.
func (w *world) status() ProxyStatus {
	w.t.Helper()
	for _, f := range slices.Backward(w.facts) {
		if s, ok := f.(ProxyStatus); ok && s.Source == source {
			return s
		}
	}
	w.t.Fatal("no status was reported")
	return ProxyStatus{}
}

// recorder keeps facts, and copies what it may not keep.
type recorder struct {
	facts    []Fact
	finished []Connection
}

func (r *recorder) take(f Fact) {
	r.facts = append(r.facts, f)
	if f, ok := f.(Finished); ok {
		r.finished = append(r.finished, *f.C)
	}
}

// count is how many facts of a kind there were.
func count[T Fact](r *recorder) int { return countIf(r, func(T) bool { return true }) }

func countIf[T Fact](r *recorder, is func(T) bool) int {
	n := 0
	for _, f := range r.facts {
		if f, ok := f.(T); ok && is(f) {
			n++
		}
	}
	return n
}

func repeats(r *recorder) int {
	return countIf(r, func(f Received) bool { return f.Outcome == Repeated })
}

// decisions is how many decisions were counted, corrected how many of them belatedly.
func decided(r *recorder) int   { return countIf(r, func(d Decided) bool { return !d.Repeat }) }
func corrected(r *recorder) int { return countIf(r, func(d Decided) bool { return d.Corrected }) }

// memoryStore is a store as the tracker sees it.
type memoryStore struct {
	records    map[storedKey][]byte
	tombstones map[pastKey][]byte
}

type storedKey struct {
	kind        Kind
	source, key string
}

func newMemoryStore() *memoryStore {
	return &memoryStore{map[storedKey][]byte{}, map[pastKey][]byte{}}
}

func (s *memoryStore) Put(kind Kind, source, key string, record []byte) {
	s.records[storedKey{kind, source, key}] = slices.Clone(record)
}

func (s *memoryStore) Remove(kind Kind, source, key string) {
	delete(s.records, storedKey{kind, source, key})
}

func (s *memoryStore) RemoveSource(source string) {
	maps.DeleteFunc(s.records, func(k storedKey, _ []byte) bool { return k.source == source })
}

func (s *memoryStore) PutTombstone(source, id string, tombstone []byte, _ time.Duration) {
	s.tombstones[pastKey{source, id}] = slices.Clone(tombstone)
}

func (s *memoryStore) past(source, id string) *Past {
	encoded, ok := s.tombstones[pastKey{source, id}]
	if !ok {
		return nil
	}
	past, err := DecodePast(encoded)
	if err != nil {
		panic(err)
	}
	return past
}

func (s *memoryStore) sorted() []storedKey {
	return slices.SortedFunc(maps.Keys(s.records), func(a, b storedKey) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.source, b.source), cmp.Compare(a.key, b.key))
	})
}

func (s *memoryStore) restore(t *testing.T, c Config, emit func(Fact)) *Tracker {
	t.Helper()
	tr := New(c, emit)
	for _, k := range s.sorted() {
		if err := tr.Restore(k.kind, k.source, k.key, s.records[k]); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}
