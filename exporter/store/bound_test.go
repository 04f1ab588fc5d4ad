package store

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"
)

// noise returns a function whose results do not compress: windows into random bytes, which repeat after far more than a
// block of a table.
func noise() (next func(size int) []byte) {
	random := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(random)
	at := 0
	return func(size int) []byte {
		if at+size > len(random) {
			at = 0
		}
		at += size
		return random[at-size : at]
	}
}

func diskUsage(t *testing.T, path string) (n int64) {
	t.Helper()
	filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}

// A backlog several times the bound: the directory stays below it, the newest spans and all records stay.
func TestBoundOfSpans(t *testing.T) {
	path := t.TempDir()
	var c counts
	s := open(t, path, Options{
		Config: Config{MaxSize: MinMaxSize}, Metrics: &c, Timeout: 10 * time.Second, ReopenInterval: 10 * time.Millisecond,
	})
	const total, size, batchSize = 4 * MinMaxSize, 8 << 10, 4
	next := noise()
	var b Batch
	peak, added, records := int64(0), 0, 0
	for n := range total / size / batchSize {
		b.Reset()
		for range batchSize {
			b.AddSpans(next(size), 2)
			added += 2
		}
		if n%100 == 0 {
			b.Put(KindConnection, "p", string(rune(n)), next(100))
			records++
		}
		check(t, s.Commit(&b))
		if n%64 == 0 {
			peak = max(peak, diskUsage(t, path))
		}
		// Of spans that come faster than the database merges tables, the disk itself is the bound.
		waitFor(t, s, "what was dropped to give its room back", func() bool {
			return s.written.Load() <= MinMaxSize/64 && float64(s.size.Load()) <= MinMaxSize*ignoreGarbage
		})
	}
	peak = max(peak, diskUsage(t, path))
	t.Logf("peak %d MiB of %d", peak>>20, MinMaxSize>>20)
	if peak > MinMaxSize {
		t.Errorf("the directory grew to %d bytes", peak)
	}
	pending, bytes := s.Pending()
	equal(t, "dropped and pending", int(c.dropped.Load())+pending, added)
	if bytes < MinMaxSize/8 {
		t.Errorf("only %d bytes of spans are left", bytes)
	}
	seen := 0
	check(t, s.Spans(0, func(uint64, int, []byte) bool { seen += 2; return true }))
	pending, _ = s.Pending()
	if seen < pending {
		t.Errorf("%d spans of %d", seen, pending)
	}
	equal(t, "records", len(load(t, s)), records)
}

// Tombstones take a share at most, oldest first out.
func TestBoundOfTombstones(t *testing.T) {
	path := t.TempDir()
	s := open(t, path, Options{Config: Config{MaxSize: MinMaxSize}, Timeout: 10 * time.Second})
	const count, size, batchSize = 15_000, 4000, 20
	next := noise()
	var b Batch
	for n := range count {
		b.PutTombstone("p", string(appendAt(nil, time.Duration(n))), next(size), time.Duration(n))
		if n%batchSize == batchSize-1 {
			if err := s.Commit(&b); err != nil && !errors.Is(err, ErrBehind) {
				t.Fatal(err)
			}
			b.Reset()
		}
	}
	waitFor(t, s, "the oldest tombstones to be dropped", func() bool { return s.tombSize <= MinMaxSize*tombShare })
	equal(t, "oldest", tomb(t, s, "p", string(appendAt(nil, 0))), "")
	if tomb(t, s, "p", string(appendAt(nil, count-1))) == "" {
		t.Error("the newest is gone")
	}
	if size := diskUsage(t, path); size > MinMaxSize {
		t.Errorf("the directory grew to %d bytes", size)
	}
}

// What is dropped for room is about what is too much, however large tombstones are.
func TestDroppedTombstonesAreFewEnough(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	const count, size = 2000, 4000
	var b Batch
	for n := range count {
		b.PutTombstone("p", string(appendAt(nil, time.Duration(n))), make([]byte, size), time.Duration(n))
	}
	check(t, s.Commit(&b))
	s.dropTombstones(s.inst, count/2*size)
	equal(t, "oldest", tomb(t, s, "p", string(appendAt(nil, 0))), "")
	if tomb(t, s, "p", string(appendAt(nil, count*3/4))) == "" {
		t.Error("half of the bytes were to be dropped, and three quarters are gone")
	}
	if tomb(t, s, "p", string(appendAt(nil, count/4))) != "" {
		t.Error("half of the bytes were to be dropped, and three quarters are left")
	}
}
