package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

var keepsHistory = HistoryLimits{MaxSize: 64 << 20, MaxAge: time.Hour}

func addHistory(t testing.TB, s *Store, names ...string) {
	t.Helper()
	var b Batch
	for _, name := range names {
		b.AddHistory("p", name, []byte("entry of "+name))
	}
	check(t, s.Commit(&b))
}

// history returns the entries in the order of a visit.
func historyOf(t testing.TB, s *Store, before uint64) string {
	t.Helper()
	var all []string
	check(t, s.History(before, func(e HistoryEntry) bool {
		all = append(all, fmt.Sprintf("%d:%s", e.Number, strings.TrimPrefix(string(e.Data), "entry of ")))
		return true
	}))
	return strings.Join(all, " ")
}

func named(t testing.TB, s *Store, source, name string) (numbers []uint64) {
	t.Helper()
	check(t, s.HistoryOf(source, name, func(e HistoryEntry) { numbers = append(numbers, e.Number) }))
	return numbers
}

const beforeAll = 1 << 62

// waitHistory waits until what an outage left in memory is on disk. The commit that a fault fails can return before the
// outage begins.
func waitHistory(t testing.TB, s *Store) {
	t.Helper()
	waitFor(t, s, "the outage to end", func() bool { return s.working && len(s.history.mem) == 0 })
}

func TestHistory(t *testing.T) {
	path := t.TempDir()
	s := open(t, path, Options{History: keepsHistory})
	addHistory(t, s, "a", "b")
	addHistory(t, s, "c", "a")
	for _, reopened := range []bool{false, true} {
		if reopened {
			check(t, s.Close())
			s = open(t, path, Options{History: keepsHistory})
		}
		equal(t, "all", historyOf(t, s, beforeAll), "4:a 3:c 2:b 1:a")
		equal(t, "before 3", historyOf(t, s, 3), "2:b 1:a")
		equal(t, "before 1", historyOf(t, s, 1), "")
		if got := named(t, s, "p", "a"); !slices.Equal(got, []uint64{4, 1}) {
			t.Errorf("a has the entries %v", got)
		}
		if got := named(t, s, "q", "a"); got != nil {
			t.Errorf("a of another proxy has the entries %v", got)
		}
		totals := s.HistoryTotals()
		equal(t, "entries", totals.Entries, 4)
		if totals.Bytes < 4*int64(len("entry of a")) || totals.Oldest.IsZero() || time.Since(totals.Oldest) > time.Minute {
			t.Errorf("totals %+v", totals)
		}
	}
	addHistory(t, s, "d")
	equal(t, "numbers go on", historyOf(t, s, beforeAll), "5:d 4:a 3:c 2:b 1:a")
	stopped := 0
	check(t, s.History(beforeAll, func(HistoryEntry) bool { stopped++; return stopped < 2 }))
	equal(t, "visits until false", stopped, 2)
}

// A reader has a snapshot: it does not hold up commits, and does not see what they add.
func TestHistoryIsReadFromASnapshot(t *testing.T) {
	s := open(t, t.TempDir(), Options{History: keepsHistory})
	addHistory(t, s, "a", "b", "c")
	var seen []uint64
	check(t, s.History(beforeAll, func(e HistoryEntry) bool {
		addHistory(t, s, "new")
		seen = append(seen, e.Number)
		return true
	}))
	if !slices.Equal(seen, []uint64{3, 2, 1}) {
		t.Errorf("visited %v", seen)
	}
}

func TestHistoryIsOff(t *testing.T) {
	path := t.TempDir()
	s := open(t, path, Options{History: keepsHistory})
	addHistory(t, s, "a")
	check(t, s.Close())
	s = open(t, path, Options{})
	waitFor(t, s, "the history to be removed", func() bool { return s.history.cleared })
	addHistory(t, s, "b")
	equal(t, "entries", historyOf(t, s, beforeAll), "")
	check(t, s.Close())
	s = open(t, path, Options{History: keepsHistory})
	equal(t, "entries that come back", historyOf(t, s, beforeAll), "")
	equal(t, "total", s.HistoryTotals().Entries, 0)
}

// The oldest entries go, a chunk at a time, and the name index with them.
func TestHistoryIsBoundedBySize(t *testing.T) {
	path := t.TempDir()
	limits := HistoryLimits{MaxSize: 4 << 20, MaxAge: time.Hour}
	s := open(t, path, Options{History: limits, Timeout: 10 * time.Second})
	next := noise()
	var b Batch
	for n := range 100 {
		b.Reset()
		for i := range 100 {
			b.AddHistory("p", fmt.Sprint(n, "/", i), next(1000))
		}
		check(t, s.Commit(&b))
	}
	bounded := func() bool { return s.history.bytes <= limits.MaxSize }
	waitFor(t, s, "the oldest entries to go", bounded)
	count, lowest := int64(0), uint64(0)
	check(t, s.History(beforeAll, func(e HistoryEntry) bool {
		count++
		lowest = e.Number
		return true
	}))
	totals := s.HistoryTotals()
	if totals.Entries != count || count < 3500 || count > 4200 || int64(lowest) != 10_000-count+1 {
		t.Errorf("%d entries from %d on are left, totals %+v", count, lowest, totals)
	}
	if got := named(t, s, "p", "99/99"); !slices.Equal(got, []uint64{10_000}) {
		t.Errorf("the newest one has the entries %v", got)
	}
	if got := named(t, s, "p", "0/0"); got != nil {
		t.Errorf("the oldest one has the entries %v", got)
	}
	check(t, s.Close())
	s = open(t, path, Options{History: limits})
	equal(t, "entries after a restart", s.HistoryTotals().Entries, count)
}

func TestHistoryIsBoundedByAge(t *testing.T) {
	s := open(t, t.TempDir(), Options{History: HistoryLimits{MaxSize: 64 << 20, MaxAge: 2 * time.Second}})
	addHistory(t, s, "a", "b")
	equal(t, "at once", historyOf(t, s, beforeAll), "2:b 1:a")
	waitFor(t, s, "old entries to go", func() bool { return s.history.entries == 0 })
	equal(t, "later", historyOf(t, s, beforeAll), "")
	addHistory(t, s, "c")
	equal(t, "a new one", historyOf(t, s, beforeAll), "3:c")
	equal(t, "total", s.HistoryTotals().Entries, 1)
}

// The history gives way to spans.
func TestHistoryGivesWayToSpans(t *testing.T) {
	var c counts
	s := open(t, t.TempDir(), Options{
		Config: Config{MaxSize: MinMaxSize}, Metrics: &c, History: HistoryLimits{MaxSize: 1 << 30, MaxAge: time.Hour}, Timeout: 10 * time.Second,
	})
	next := noise()
	var b Batch
	for range 200 {
		b.Reset()
		for range 50 {
			b.AddHistory("p", "n", next(1000))
		}
		check(t, s.Commit(&b))
	}
	held := s.HistoryTotals().Entries
	for range 600 {
		b.Reset()
		b.AddSpans(next(64<<10), 1)
		check(t, s.Commit(&b))
		waitFor(t, s, "the database to merge", func() bool { return s.written.Load() <= MinMaxSize/64 })
	}
	if left := s.HistoryTotals().Entries; left >= held/2 {
		t.Errorf("%d of %d entries are left", left, held)
	}
}

// During an outage the latest entries stay in memory, and are on disk after it.
func TestHistoryDuringAnOutage(t *testing.T) {
	path := t.TempDir()
	f := &faults{}
	s := open(t, path, Options{History: keepsHistory, Faults: f.op, ReopenInterval: 10 * time.Millisecond})
	addHistory(t, s, "a")
	f.mu.Lock()
	f.at = f.count + 1
	f.mu.Unlock()
	var b Batch
	b.AddHistory("p", "b", []byte("entry of b"))
	b.AddHistory("p", "c", []byte("entry of c"))
	if s.Commit(&b) == nil {
		t.Fatal("the commit succeeds")
	}
	equal(t, "in the outage", historyOf(t, s, beforeAll), "3:c 2:b")
	equal(t, "before 3", historyOf(t, s, 3), "2:b")
	if got := named(t, s, "p", "b"); !slices.Equal(got, []uint64{2}) {
		t.Errorf("b has the entries %v", got)
	}
	f.heal()
	waitHistory(t, s)
	equal(t, "after it", historyOf(t, s, beforeAll), "3:c 2:b 1:a")
	addHistory(t, s, "d")
	check(t, s.Close())
	s = open(t, path, Options{History: keepsHistory})
	equal(t, "after a restart", historyOf(t, s, beforeAll), "4:d 3:c 2:b 1:a")
	equal(t, "total", s.HistoryTotals().Entries, 4)
}

// Whatever operation fails, afterwards the totals are those of the entries, each of which is there once.
func TestHistoryAfterAnyFault(t *testing.T) {
	for at := 1; at < 60; at += 3 {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			path := t.TempDir()
			f := &faults{}
			s := open(t, path, Options{History: keepsHistory, Faults: f.op, ReopenInterval: 10 * time.Millisecond})
			f.mu.Lock()
			f.at = f.count + at
			f.mu.Unlock()
			var want []string
			for i := range 40 {
				var b Batch
				name := fmt.Sprint("n", i)
				b.AddHistory("p", name, []byte("entry of "+name))
				_ = s.Commit(&b)
				want = append(want, fmt.Sprintf("%d:%s", i+1, name))
			}
			f.heal()
			waitHistory(t, s)
			slices.Reverse(want)
			equal(t, "entries", historyOf(t, s, beforeAll), strings.Join(want, " "))
			equal(t, "total", s.HistoryTotals().Entries, int64(len(want)))
			check(t, s.Close())
			s = open(t, path, Options{History: keepsHistory})
			equal(t, "entries after a restart", historyOf(t, s, beforeAll), strings.Join(want, " "))
			equal(t, "total after a restart", s.HistoryTotals().Entries, int64(len(want)))
		})
	}
}

func TestHistoryInMemoryIsBounded(t *testing.T) {
	f := &faults{at: 1}
	s := open(t, t.TempDir(), Options{History: keepsHistory, Faults: f.op, ReopenInterval: time.Hour})
	next := noise()
	for range 100 {
		var b Batch
		b.AddHistory("p", "n", next(100<<10))
		_ = s.Commit(&b)
	}
	if totals := s.HistoryTotals(); totals.Bytes > maxMemoryHistory || totals.Entries < 30 {
		t.Errorf("totals %+v", totals)
	}
}
