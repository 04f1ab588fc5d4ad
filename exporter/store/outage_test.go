package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// scenario does all there is to do. After an outage it rewrites. It returns the records, spans and tombstones
// that must exist then.
func scenario(t *testing.T, s *Store, healed func()) {
	t.Helper()
	var b Batch
	behind := false
	commit := func() {
		started := time.Now()
		if err := s.Commit(&b); errors.Is(err, ErrBehind) {
			behind = true
		} else {
			check(t, err)
		}
		if took := time.Since(started); took > 2*time.Second {
			t.Errorf("a commit took %v", took)
		}
		b.Reset()
	}
	for i := range 20 {
		b.Put(KindConnection, "p", fmt.Sprint("c", i), []byte("open"))
		b.AddSpans(fmt.Appendf(nil, "span %d", i), 1)
		if i >= 10 {
			b.Remove(KindConnection, "p", fmt.Sprint("c", i-10))
			b.PutTombstone("p", fmt.Sprint("c", i-10), []byte("t"), time.Duration(i))
		}
		commit()
		if i == 12 {
			s.mu.Lock()
			in := s.inst
			s.mu.Unlock()
			if in != nil && s.acquire(in) {
				go func() {
					defer in.refs.Done()
					in.db.AsyncFlush()
				}()
			}
		}
	}
	healed()
	waitWritable(t, s)
	for behind || !s.Writable() {
		waitWritable(t, s)
		behind = false
		// A fault of the background may become known at any step of a rewrite, which has to begin again then.
		try := func(err error) bool {
			if behind = behind || errors.Is(err, ErrBehind) || errors.Is(err, ErrNoRewrite); !behind {
				check(t, err)
			}
			return !behind
		}
		if !try(s.BeginRewrite()) {
			continue
		}
		for i := 10; i < 20; i++ {
			b.Put(KindConnection, "p", fmt.Sprint("c", i), []byte("open"))
		}
		commit()
		if !behind {
			try(s.EndRewrite())
		}
	}
}

func verify(t *testing.T, s *Store) {
	t.Helper()
	got := load(t, s)
	if len(got) != 10 {
		t.Errorf("records %v", got)
	}
	text := allSpans(t, s)
	for i := range 20 {
		if n := strings.Count(text+" ", fmt.Sprintf(":span %d ", i)); n != 1 {
			t.Errorf("span %d is there %d times", i, n)
		}
	}
	n, _ := s.Pending()
	equal(t, "pending", n, 20)
	for i := range 10 {
		equal(t, "tombstone", tomb(t, s, "p", fmt.Sprint("c", i)), "t")
	}
}

// Every file operation of a scenario fails once, or from then on until the end, or hangs.
func TestFaultAtEveryOperation(t *testing.T) {
	for _, mode := range []string{"once", "until healed", "hangs"} {
		t.Run(mode, func(t *testing.T) {
			for n := 1; ; n++ {
				path := t.TempDir()
				f := &faults{once: mode == "once"}
				if mode == "hangs" {
					f.block = make(chan struct{})
				}
				var c counts
				s := open(t, path, Options{
					Faults: f.op, Metrics: &c, Timeout: 50 * time.Millisecond, ReopenInterval: 10 * time.Millisecond,
				})
				f.mu.Lock()
				f.at, f.hit = f.count+n, false
				f.mu.Unlock()
				scenario(t, s, f.heal)
				verify(t, s)
				check(t, s.Close())
				f.mu.Lock()
				hit := f.hit
				f.mu.Unlock()
				s = open(t, path, Options{})
				verify(t, s)
				check(t, s.Close())
				if t.Failed() {
					t.Fatalf("at operation %d", n)
				}
				if !hit {
					if n < 20 {
						t.Fatalf("only %d operations", n)
					}
					return
				}
			}
		})
	}
}

// TestFence: what the fence keeps from the disk is never acknowledged. A write that comes while a database is given up
// either reaches the disk, or its caller learns that the database is dead.
func TestFence(t *testing.T) {
	for range 2000 {
		in := &instance{dead: make(chan struct{}), fs: &diskFS{}}
		begin := make(chan struct{})
		var work sync.WaitGroup
		work.Go(func() { <-begin; in.die(errFault) })
		work.Go(func() {
			<-begin
			for !in.fs.fenced.Load() {
			}
			select {
			case <-in.dead:
			default:
				t.Error("fenced, and not known to be dead")
			}
		})
		close(begin)
		work.Wait()
	}
}

// A disk that fails at the start is an outage; the store opens when it is back.
func TestFaultAtTheStart(t *testing.T) {
	f := &faults{at: 1}
	s := open(t, t.TempDir(), Options{Faults: f.op, ReopenInterval: 10 * time.Millisecond})
	scenario(t, s, f.heal)
	verify(t, s)
}

func TestHangingDisk(t *testing.T) {
	f := &faults{}
	s := open(t, t.TempDir(), Options{Faults: f.op, Timeout: 100 * time.Millisecond})
	f.mu.Lock()
	f.at, f.block = f.count+1, make(chan struct{})
	f.mu.Unlock()
	var b Batch
	for i := range 3 {
		b.Reset()
		b.AddSpans(fmt.Appendf(nil, "%d", i), 1)
		started := time.Now()
		if err := s.Commit(&b); !errors.Is(err, ErrBehind) {
			t.Fatal(err)
		}
		if took := time.Since(started); i > 0 && took > 50*time.Millisecond {
			t.Errorf("commit %d took %v", i, took)
		}
	}
	ids, text := spans(t, s)
	equal(t, "spans in memory", text, "1:0 1:1 1:2")
	s.RemoveSpans(ids[:1])
	f.heal()
	waitWritable(t, s)
	_, text = spans(t, s)
	equal(t, "spans", text, "1:1 1:2")
	n, _ := s.Pending()
	equal(t, "pending", n, 2)
}

func TestMemoryBound(t *testing.T) {
	f := &faults{}
	var c counts
	s := open(t, t.TempDir(), Options{
		Faults: f.op, Metrics: &c, MaxMemorySpans: 100, MaxMemoryTombstones: 2, ReopenInterval: 10 * time.Millisecond,
	})
	f.mu.Lock()
	f.at = 1
	f.mu.Unlock()
	for i := range 5 {
		var b Batch
		b.AddSpans(fmt.Appendf(nil, "%030d", i), 1)
		b.PutTombstone("p", fmt.Sprint(i), nil, 0)
		if err := s.Commit(&b); !errors.Is(err, ErrBehind) {
			t.Fatal(err)
		}
	}
	f.heal()
	waitWritable(t, s)
	n, _ := s.Pending()
	ids, _ := spans(t, s)
	equal(t, "pending", n, 3)
	equal(t, "spans", len(ids), 3)
	equal(t, "dropped", c.dropped.Load(), 2)
}

// What the sender removes during and after an outage is removed from disk, and counted once.
func TestRemoveAcrossOutage(t *testing.T) {
	f := &faults{}
	path := t.TempDir()
	s := open(t, path, Options{Faults: f.op, ReopenInterval: 10 * time.Millisecond})
	var b Batch
	for i := range 4 {
		b.AddSpans(fmt.Appendf(nil, "%d", i), 1)
	}
	check(t, s.Commit(&b))
	ids, _ := spans(t, s)
	f.mu.Lock()
	f.at = 1
	f.mu.Unlock()
	b.Reset()
	b.Put(KindProxy, "p", "", nil)
	if err := s.Commit(&b); !errors.Is(err, ErrBehind) {
		t.Fatal(err)
	}
	if err := s.RemoveSpans(ids[:1]); !errors.Is(err, ErrBehind) {
		t.Fatal(err)
	}
	f.heal()
	waitWritable(t, s)
	check(t, s.RemoveSpans(ids[1:2]))
	for range 2 {
		n, _ := s.Pending()
		equal(t, "pending", n, 2)
		_, text := spans(t, s)
		equal(t, "spans", text, "1:2 1:3")
		check(t, s.Close())
		s = open(t, path, Options{})
	}
}

// A directory that is removed under the store is an outage, not the end of the process.
func TestRemovedDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	s := open(t, path, Options{Config: Config{MaxSize: MinMaxSize}, ReopenInterval: 10 * time.Millisecond})
	defer s.disposing.Wait()
	var b Batch
	record := make([]byte, 64<<10)
	put := func(n int) error {
		b.Reset()
		b.Put(KindConnection, "p", fmt.Sprint(n), record)
		return s.Commit(&b)
	}
	check(t, put(0))
	check(t, os.RemoveAll(path))
	// The log is deleted and still open: only the next one cannot be created.
	n := 1
	for ; put(n) == nil; n++ {
		if n > 1000 {
			t.Fatal("no commit fails")
		}
	}
	waitWritable(t, s)
	check(t, put(n))
	if got := load(t, s); len(got) != 1 {
		t.Errorf("%d records, want 1", len(got))
	}
}
