package journal

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func init() { children["limit"] = appendToALimit }

// appendToALimit is a child: no file of it may grow beyond 64 KiB, so that the log must fail, and recover
// when it is rewritten, and the queue must begin new segments.
func appendToALimit(path string) error {
	signal.Ignore(syscall.SIGXFSZ)
	limit := syscall.Rlimit{Cur: 64 << 10, Max: 64 << 10}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	d, err := OpenDir(path)
	if err != nil {
		return err
	}
	l := OpenLog(d, "log", LogOptions{})
	if _, err := l.Replay(func([]byte) error { return nil }); err != nil {
		return err
	}
	q, _, err := OpenQueue(d, "queue", QueueOptions{})
	if err != nil {
		return err
	}
	logged, broken := 0, 0
	for n := 1; n <= 600; n++ {
		batch := [][]byte{killEntry(n)}
		err := l.Append(batch)
		switch {
		case errors.Is(err, ErrBroken):
			broken++
		case errors.Is(err, syscall.EFBIG):
			fmt.Println("log failed at", n)
		case err != nil:
			return err
		default:
			logged = n
		}
		if err := q.Append(batch, nil); err != nil {
			return fmt.Errorf("queue: %w", err)
		}
	}
	if broken == 0 {
		return errors.New("the log never failed")
	}
	large := make([]byte, 65<<10)
	if err := q.Append([][]byte{large}, nil); !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("a batch that no file takes: %w", err)
	}
	if err := l.Rewrite(slices.Values([][]byte{large})); !errors.Is(err, syscall.EFBIG) {
		return fmt.Errorf("a rewrite that no file takes: %w", err)
	}
	if err := l.Rewrite(slices.Values([][]byte{killEntry(logged)})); err != nil {
		return err
	}
	return errors.Join(l.Append([][]byte{killEntry(logged + 1)}), l.Close(), q.Close(), d.Close())
}

func TestLimitOfFileSize(t *testing.T) {
	path := t.TempDir()
	c := startChild(t, "limit", path)
	failed := 0
	said := c.line()
	if _, err := fmt.Sscanf(said, "log failed at %d", &failed); err != nil {
		t.Fatal(said)
	}
	c.end(t)
	got, damage := reread(t, path)
	equal(t, "log", got, []string{string(killEntry(failed - 1)), string(killEntry(failed))})
	if damage.Any() {
		t.Errorf("log: damage %+v", damage)
	}
	q, damage := mustQueue(t, mustDir(t, path, osFS{}), QueueOptions{})
	if damage.Any() {
		t.Errorf("queue: damage %+v", damage)
	}
	got = drain(t, q, 10, true)
	for n := 1; n <= 600; n++ {
		if len(got) < n || killNumber(t, got[n-1]) != n {
			t.Fatalf("queue has %d entries", len(got))
		}
	}
}

// smallDisk is a file system of its own, of so many bytes.
func smallDisk(t *testing.T, size int) string {
	t.Helper()
	path := t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("mounts a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(path, 0); err != nil {
			t.Error(err)
		}
	})
	return path
}

func TestFullDisk(t *testing.T) {
	path := smallDisk(t, 1<<20)
	dir := mustDir(t, path, osFS{})
	l, _, _ := mustLog(t, dir, LogOptions{})
	q, _ := mustQueue(t, dir, QueueOptions{SegmentBytes: 100 << 10})
	state := entries("state")
	check(t, l.Append(state))
	// The queue takes all the space there is. Nothing of what it refused may come out of it.
	var queued []string
	for n := 1; ; n++ {
		batch := entries(fmt.Sprint(n, strings.Repeat("q", 3000)), fmt.Sprint(n, "+", strings.Repeat("q", 3000)))
		if err := q.Append(batch, nil); err != nil {
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatal(err)
			}
			break
		}
		queued = append(queued, texts(batch)...)
	}
	if err := l.Append([][]byte{make([]byte, 8<<10)}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("log: %v", err)
	}
	for range 100 {
		if err := q.Append([][]byte{make([]byte, 8<<10)}, nil); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("queue: %v", err)
		}
		if err := l.Append(state); !errors.Is(err, ErrBroken) {
			t.Fatalf("log: %v", err)
		}
	}
	if err := l.Rewrite(slices.Values([][]byte{make([]byte, 8<<10)})); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("rewrite: %v", err)
	}
	if weight := q.Weight(); weight != int64(len(queued)) {
		t.Errorf("weight %d of %d entries", weight, len(queued))
	}
	// A process that begins on a full disk finds what there is, and nothing that was refused.
	check(t, l.Close())
	check(t, q.Close())
	check(t, dir.Close())
	dir = mustDir(t, path, osFS{})
	l, got, damage := mustLog(t, dir, LogOptions{})
	equal(t, "log", got, texts(state))
	if damage.Entries+damage.Segments > 0 {
		t.Errorf("log: damage %+v", damage)
	}
	q, damage = mustQueue(t, dir, QueueOptions{SegmentBytes: 100 << 10})
	if damage.Any() {
		t.Errorf("queue: damage %+v", damage)
	}
	// Being done with some makes room, even for what says so.
	payloads, mark, err := q.Next(1<<20, len(queued)/2)
	check(t, err)
	equal(t, "first half", texts(payloads), queued[:len(payloads)])
	rest := queued[len(payloads):]
	check(t, q.Done(mark))
	check(t, q.Append(entries("new"), nil))
	check(t, l.Rewrite(slices.Values(state)))
	check(t, l.Append(entries("new")))
	equal(t, "second half", drain(t, q, 10, true), append(rest, "new"))
	l.Close()
	q.Close()
	dir.Close()
	got, _ = reread(t, path)
	equal(t, "log", got, append(texts(state), "new"))
	if left := names(t, filepath.Join(path, "queue")); !slices.Equal(left, []string{cursorName}) {
		t.Errorf("the queue leaves %v", left)
	}
}

// A disk without room for anything at the start.
func TestDiskThatIsFullAtTheStart(t *testing.T) {
	path := smallDisk(t, 64<<10)
	filler := filepath.Join(path, "filler")
	if err := os.WriteFile(filler, make([]byte, 128<<10), fileMode); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	dir := mustDir(t, filepath.Join(path, "data"), osFS{})
	l := OpenLog(dir, "log", LogOptions{})
	defer l.Close()
	l.Replay(func([]byte) error { return nil })
	q, _, _ := OpenQueue(dir, "queue", QueueOptions{})
	defer q.Close()
	for range 3 {
		if err := l.Append(entries("a")); err == nil {
			t.Error("appended to the log")
		}
		if err := l.Rewrite(slices.Values(entries("a"))); err == nil {
			t.Error("rewritten")
		}
		if err := q.Append(entries("a"), nil); err == nil {
			t.Error("appended to the queue")
		}
	}
	check(t, os.Remove(filler))
	check(t, l.Rewrite(slices.Values(entries("a"))))
	check(t, l.Append(entries("b")))
	check(t, q.Append(entries("a"), nil))
	equal(t, "queue", drain(t, q, 10, true), []string{"a"})
	check(t, q.Close())
	check(t, l.Close())
	check(t, dir.Close())
	got, _ := reread(t, filepath.Join(path, "data"))
	equal(t, "log", got, []string{"a", "b"})
}

// A file system that has become read-only, as some do after a fault, is read all the same.
func TestReadOnlyFileSystem(t *testing.T) {
	path := smallDisk(t, 1<<20)
	dir := mustDir(t, path, osFS{})
	l, _, _ := mustLog(t, dir, LogOptions{})
	check(t, l.Append(entries("a", "b")))
	check(t, l.Close())
	check(t, dir.Close())
	check(t, syscall.Mount("tmpfs", path, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	dir = mustDir(t, path, osFS{})
	l, got, damage := mustLog(t, dir, LogOptions{})
	equal(t, "replayed", got, []string{"a", "b"})
	if damage.Any() {
		t.Errorf("damage %+v", damage)
	}
	if err := l.Append(entries("c")); !errors.Is(err, syscall.EROFS) {
		t.Errorf("append: %v", err)
	}
	check(t, syscall.Mount("tmpfs", path, "tmpfs", syscall.MS_REMOUNT, ""))
	check(t, l.Rewrite(slices.Values(entries("a", "b", "c"))))
	check(t, l.Close())
	check(t, dir.Close())
	got, _ = reread(t, path)
	equal(t, "replayed", got, []string{"a", "b", "c"})
}
