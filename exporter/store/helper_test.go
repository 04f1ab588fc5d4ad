package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const childVariable, pathVariable = "STORE_TEST_CHILD", "STORE_TEST_PATH"

// Kinds of the tests.
const (
	KindProxy      Kind = 1
	KindConnection Kind = 2
)

// children are what this binary does as a child process.
var children = map[string]func(path string) error{}

func TestMain(m *testing.M) {
	if name := os.Getenv(childVariable); name != "" {
		if err := children[name](os.Getenv(pathVariable)); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

type counts struct{ writes, reads, damaged, dropped atomic.Int64 }

func (c *counts) WriteFailed()       { c.writes.Add(1) }
func (c *counts) ReadFailed()        { c.reads.Add(1) }
func (c *counts) Damaged(n int)      { c.damaged.Add(int64(n)) }
func (c *counts) SpansDropped(n int) { c.dropped.Add(int64(n)) }

func open(t testing.TB, path string, o Options) *Store {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	s, err := Open(path, o)
	check(t, err)
	t.Cleanup(func() { s.Close() })
	return s
}

// load returns the records; stale ones say so.
func load(t testing.TB, s *Store) map[string]string {
	t.Helper()
	for {
		got := map[string]string{}
		err := s.Load(func(k Kind, source, key string, record []byte, stale bool) error {
			value := string(record)
			if stale {
				value += " (stale)"
			}
			got[fmt.Sprintf("%d/%s/%s", k, source, key)] = value
			return nil
		})
		// A fault of the background that was injected before may become known only now.
		if !errors.Is(err, ErrBehind) {
			check(t, err)
			return got
		}
		waitWritable(t, s)
	}
}

func spans(t testing.TB, s *Store) (ids []uint64, text string) {
	t.Helper()
	ids, text, err := visited(s)
	check(t, err)
	return ids, text
}

func visited(s *Store) (ids []uint64, text string, err error) {
	var out []string
	err = s.Spans(0, func(id uint64, n int, encoded []byte) bool {
		ids = append(ids, id)
		out = append(out, fmt.Sprintf("%d:%.20s", n, encoded))
		return true
	})
	return ids, strings.Join(out, " "), err
}

// allSpans visits the spans on disk, too: during an outage Spans visits only those in memory. A fault of the background
// that was injected before may begin one at any time.
func allSpans(t testing.TB, s *Store) string {
	t.Helper()
	for {
		waitWritable(t, s)
		s.mu.Lock()
		in := s.inst
		s.mu.Unlock()
		_, text, err := visited(s)
		s.mu.Lock()
		again := s.inst != in
		s.mu.Unlock()
		if again {
			continue
		}
		check(t, err)
		return text
	}
}

func tomb(t testing.TB, s *Store, source, id string) string {
	t.Helper()
	return string(tombstones(t, s, TombstoneKey{source, id})[0])
}

func tombstones(t testing.TB, s *Store, keys ...TombstoneKey) [][]byte {
	t.Helper()
	found, err := s.Tombstones(keys, nil)
	for errors.Is(err, ErrBehind) { // see load
		waitWritable(t, s)
		found, err = s.Tombstones(keys, nil)
	}
	check(t, err)
	return found
}

func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// waitFor waits until so holds, which it asks with s.mu after each step of the supervisor.
func waitFor(t testing.TB, s *Store, what string, so func() bool) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	late := false
	timeout := time.AfterFunc(20*time.Second, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		late = true
		s.stepped.Broadcast()
	})
	defer timeout.Stop()
	for !so() {
		if late {
			t.Fatalf("no sign of %s within 20 s", what)
		}
		s.stepped.Wait()
	}
}

func waitWritable(t testing.TB, s *Store) {
	t.Helper()
	waitFor(t, s, "the outage to end", func() bool { return s.working })
}

// faults fails or blocks file operations from the n-th on, until it is healed.
type faults struct {
	mu    sync.Mutex
	count int
	at    int // 0: never
	once  bool
	block chan struct{} // nil: fail
	hit   bool
}

func (f *faults) op(string, string) error {
	f.mu.Lock()
	f.count++
	hit := f.at > 0 && (f.count == f.at || !f.once && f.count > f.at)
	f.hit = f.hit || hit
	block := f.block
	f.mu.Unlock()
	switch {
	case !hit:
		return nil
	case block != nil:
		<-block
		return nil
	}
	return errFault
}

func (f *faults) heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = 0
	if f.block != nil {
		close(f.block)
		f.block = nil
	}
}

var errFault = fmt.Errorf("injected fault")
