package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestMain lets a test run this binary again as a child.
func TestMain(m *testing.M) {
	if child := os.Getenv(childVariable); child != "" {
		os.Exit(runChild(child))
	}
	os.Exit(m.Run())
}

// step is one change of the disk.
type step struct {
	op, path string
	// n is the number of bytes of a write.
	n int
}

// tornError has a write end after so many bytes.
type tornError int

func (e tornError) Error() string { return fmt.Sprintf("torn after %d bytes", int(e)) }

// hookFS is the disk, with a hook before every step that changes it: an error is that of the step, which
// is then not done. A hook that waits is a disk that hangs.
type hookFS struct {
	osFS
	mu   sync.Mutex
	hook func(step) error
}

func (h *hookFS) set(hook func(step) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hook = hook
}

func (h *hookFS) at(op, path string, n int) error {
	h.mu.Lock()
	hook := h.hook
	h.mu.Unlock()
	if hook == nil {
		return nil
	}
	return hook(step{op, filepath.Base(path), n})
}

func (h *hookFS) MkdirAll(path string) error {
	if err := h.at("mkdir", path, 0); err != nil {
		return err
	}
	return h.osFS.MkdirAll(path)
}

func (h *hookFS) Open(path string, flag int) (file, error) {
	if flag&os.O_CREATE != 0 {
		if err := h.at("create", path, 0); err != nil {
			return nil, err
		}
	}
	f, err := h.osFS.Open(path, flag)
	if err != nil {
		return nil, err
	}
	return &hookFile{f, h, path}, nil
}

func (h *hookFS) Rename(from, to string) error {
	if err := h.at("rename", to, 0); err != nil {
		return err
	}
	return h.osFS.Rename(from, to)
}

func (h *hookFS) Remove(path string) error {
	if err := h.at("remove", path, 0); err != nil {
		return err
	}
	return h.osFS.Remove(path)
}

func (h *hookFS) SyncDir(path string) error {
	if err := h.at("syncdir", path, 0); err != nil {
		return err
	}
	return h.osFS.SyncDir(path)
}

type hookFile struct {
	file
	fs   *hookFS
	path string
}

func (f *hookFile) WriteAt(b []byte, at int64) (int, error) {
	err := f.fs.at("write", f.path, len(b))
	if torn := tornError(0); errors.As(err, &torn) {
		n, _ := f.file.WriteAt(b[:min(int(torn), len(b))], at)
		return n, err
	}
	if err != nil {
		return 0, err
	}
	return f.file.WriteAt(b, at)
}

func (f *hookFile) Truncate(size int64) error {
	if err := f.fs.at("truncate", f.path, 0); err != nil {
		return err
	}
	return f.file.Truncate(size)
}

func (f *hookFile) Datasync() error {
	if err := f.fs.at("sync", f.path, 0); err != nil {
		return err
	}
	return f.file.Datasync()
}

var errCrashed = errors.New("crashed")

// crashAt returns a hook that lets so many steps through, tears the one after if it is a write, and
// none after that. crashed is set once there was one too many.
func crashAt(steps int, torn func(n int) int, crashed *bool) func(step) error {
	return func(s step) error {
		steps--
		*crashed = *crashed || steps < 0
		if steps == -1 && s.op == "write" && torn != nil {
			return tornError(torn(s.n))
		}
		if steps < 0 {
			return errCrashed
		}
		return nil
	}
}

func mustDir(t testing.TB, path string, disk fileSystem) *Dir {
	t.Helper()
	d, err := openDir(path, disk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

// mustLog opens a log and replays it.
func mustLog(t testing.TB, dir *Dir, o LogOptions) (*Log, []string, Damage) {
	t.Helper()
	l := OpenLog(dir, "log", o)
	t.Cleanup(func() { l.Close() })
	var got []string
	damage, err := l.Replay(func(e []byte) error { got = append(got, string(e)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return l, got, damage
}

// reread is what a new process finds in a log.
func reread(t testing.TB, path string) ([]string, Damage) {
	t.Helper()
	d := mustDir(t, path, osFS{})
	l, got, damage := mustLog(t, d, LogOptions{})
	l.Close()
	d.Close()
	return got, damage
}

func mustQueue(t testing.TB, dir *Dir, o QueueOptions) (*Queue, Damage) {
	t.Helper()
	q, damage, err := OpenQueue(dir, "queue", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q, damage
}

// drain reads all that is left to read, at most n entries at a time, and is done with it if asked.
func drain(t testing.TB, q *Queue, n int, done bool) []string {
	t.Helper()
	var got []string
	for {
		payloads, mark, err := q.Next(1<<20, n)
		if damage := (Damage{}); errors.As(err, &damage) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if len(payloads) == 0 {
			return got
		}
		got = append(got, texts(payloads)...)
		if done {
			if err := q.Done(mark); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func texts(entries [][]byte) []string {
	out := make([]string, len(entries))
	for i, e := range entries {
		out[i] = string(e)
	}
	return out
}

func entries(texts ...string) [][]byte {
	out := make([][]byte, len(texts))
	for i, s := range texts {
		out[i] = []byte(s)
	}
	return out
}

// numbered makes texts, from and to included, each of its own length.
func numbered(from, to int) []string {
	var out []string
	for i := from; i <= to; i++ {
		out = append(out, fmt.Sprintf("entry-%04d-%s", i, strings.Repeat("x", i%37)))
	}
	return out
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t testing.TB, what string, got, want []T) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// subsequence reports whether all of sub is in all, in that order.
func subsequence(sub, all []string) bool {
	for _, s := range sub {
		i := slices.Index(all, s)
		if i < 0 {
			return false
		}
		all = all[i+1:]
	}
	return true
}

func segmentPath(dir, name string, number uint64) string {
	return filepath.Join(dir, name, fileName(number))
}

// flip turns a bit of a file.
func flip(t testing.TB, path string, bit int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	check(t, err)
	b[bit/8] ^= 1 << (bit % 8)
	check(t, os.WriteFile(path, b, fileMode))
}

func names(t testing.TB, folder string) []string {
	t.Helper()
	out, err := osFS{}.List(folder)
	check(t, err)
	return out
}
