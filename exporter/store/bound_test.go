package store

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"
)

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
	s := open(t, path, Options{Config: Config{MaxSize: MinMaxSize}, Metrics: &c, Timeout: 10 * time.Second})
	payload := make([]byte, 8<<10)
	var b Batch
	peak, added := int64(0), 0
	for n := range 8 * MinMaxSize / len(payload) / 4 {
		b.Reset()
		for range 4 {
			for i := range payload {
				payload[i] = byte(rand.Uint32())
			}
			b.AddSpans(payload, 2)
			added += 2
		}
		if n%100 == 0 {
			b.Put(KindConnection, "p", string(rune(n)), payload[:100])
		}
		check(t, s.Commit(&b))
		if n%64 == 0 {
			peak = max(peak, diskUsage(t, path))
		}
		// Faster than this the disk itself is the bound.
		time.Sleep(200 * time.Microsecond)
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
	equal(t, "records", len(load(t, s)), (8*MinMaxSize/len(payload)/4+99)/100)
}

// Tombstones take a share at most, oldest first out.
func TestBoundOfTombstones(t *testing.T) {
	path := t.TempDir()
	s := open(t, path, Options{Config: Config{MaxSize: MinMaxSize}, Timeout: 10 * time.Second})
	var b Batch
	data := make([]byte, 400)
	for n := range 200_000 {
		for i := range data {
			data[i] = byte(rand.Uint32())
		}
		b.PutTombstone("p", string(appendAt(nil, time.Duration(n))), data, time.Duration(n))
		if n%200 == 199 {
			if err := s.Commit(&b); err != nil && !errors.Is(err, ErrBehind) {
				t.Fatal(err)
			}
			b.Reset()
		}
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		s.mu.Lock()
		size := s.tombSize
		s.mu.Unlock()
		if size <= MinMaxSize/4 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d bytes of tombstones", size)
		}
		time.Sleep(10 * time.Millisecond)
	}
	equal(t, "oldest", tomb(t, s, "p", string(appendAt(nil, 0))), "")
	if tomb(t, s, "p", string(appendAt(nil, 199_999))) == "" {
		t.Error("the newest is gone")
	}
	if size := diskUsage(t, path); size > MinMaxSize {
		t.Errorf("the directory grew to %d bytes", size)
	}
}
