package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// holdDir is a child: it holds the folder until it is told to end.
func holdDir(path string) error {
	d, err := OpenDir(path)
	if err != nil {
		return err
	}
	fmt.Println("held")
	io.Copy(io.Discard, os.Stdin)
	return d.Close()
}

func TestDirIsHeldOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "folder")
	first := mustDir(t, path, osFS{})
	_, err := OpenDir(path)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), path) {
		t.Errorf("in the same process: %v", err)
	}
	if said := startChild(t, "hold", path).line(); !strings.Contains(said, ErrLocked.Error()) {
		t.Errorf("in another process: %q", said)
	}
	check(t, first.Close())
	second, err := OpenDir(path)
	check(t, err)
	check(t, second.Close())
	check(t, second.Close())
}

// The lock goes with the process, however that ends.
func TestDirOfAProcessThatWasKilled(t *testing.T) {
	path := t.TempDir()
	c := startChild(t, "hold", path)
	if said := c.line(); said != "held" {
		t.Fatal(said)
	}
	if _, err := OpenDir(path); !errors.Is(err, ErrLocked) {
		t.Fatalf("got %v", err)
	}
	check(t, c.cmd.Process.Kill())
	c.rest()
	mustDir(t, path, osFS{})
}

// A folder that cannot be made is no reason not to start. Once it can, writing succeeds.
func TestDirThatCannotBeMade(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "parent")
	check(t, os.WriteFile(parent, nil, fileMode))
	path := filepath.Join(parent, "data")
	dir := mustDir(t, path, osFS{})
	l := OpenLog(dir, "log", LogOptions{})
	defer l.Close()
	if _, err := l.Replay(func([]byte) error { return nil }); err == nil {
		t.Error("replayed")
	}
	q, _, err := OpenQueue(dir, "queue", QueueOptions{})
	if q == nil || err == nil {
		t.Fatalf("queue %v, error %v", q, err)
	}
	defer q.Close()
	for range 2 {
		if err := l.Append(entries("a")); !errors.Is(err, ErrBroken) {
			t.Errorf("append to the log: %v", err)
		}
		if err := l.Rewrite(slices.Values(entries("a"))); err == nil {
			t.Error("rewritten")
		}
		if err := q.Append(entries("a"), nil); err == nil {
			t.Error("appended to the queue")
		}
		if got := drain(t, q, 1, true); got != nil {
			t.Errorf("got %q", got)
		}
	}
	check(t, os.Remove(parent))
	check(t, l.Rewrite(slices.Values(entries("a"))))
	check(t, l.Append(entries("b")))
	check(t, q.Append(entries("c"), nil))
	equal(t, "queue", drain(t, q, 1, true), []string{"c"})
	check(t, l.Close())
	check(t, dir.Close())
	got, _ := reread(t, path)
	equal(t, "log", got, []string{"a", "b"})
}

// What was there all along is found when the folder becomes usable.
func TestDirThatComesBack(t *testing.T) {
	parent := t.TempDir()
	path := filepath.Join(parent, "data")
	dir := mustDir(t, path, osFS{})
	l, _, _ := mustLog(t, dir, LogOptions{})
	check(t, l.Append(entries("old")))
	q, _ := mustQueue(t, dir, QueueOptions{})
	check(t, q.Append(entries("old"), nil))
	check(t, q.Close())
	check(t, l.Close())
	check(t, dir.Close())
	flip(t, segmentPath(path, "queue", 1), 8*(fileHeaderSize+frameHeaderSize))
	check(t, os.Rename(path, path+".away"))
	check(t, os.WriteFile(path, nil, fileMode))

	dir = mustDir(t, path, osFS{})
	l = OpenLog(dir, "log", LogOptions{})
	defer l.Close()
	if _, err := l.Replay(func([]byte) error { return nil }); err == nil {
		t.Error("replayed")
	}
	q, _, err := OpenQueue(dir, "queue", QueueOptions{})
	if err == nil {
		t.Error("no error")
	}
	defer q.Close()
	check(t, os.Remove(path))
	check(t, os.Rename(path+".away", path))
	check(t, l.Rewrite(slices.Values(entries("new"))))
	check(t, q.Append(entries("new"), nil))
	var damage Damage
	if _, _, err := q.Next(1, 1); !errors.As(err, &damage) || damage.Entries != 1 {
		t.Errorf("got %v", err)
	}
	equal(t, "queue", drain(t, q, 1, true), []string{"new"})
	check(t, l.Close())
	check(t, dir.Close())
	got, _ := reread(t, path)
	equal(t, "log", got, []string{"old", "new"})
}

// A folder that someone else took in the meantime is theirs.
func TestDirThatSomeoneElseTook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	check(t, os.WriteFile(path, nil, fileMode))
	dir := mustDir(t, path, osFS{})
	check(t, os.Remove(path))
	other := mustDir(t, path, osFS{})
	l := OpenLog(dir, "log", LogOptions{})
	defer l.Close()
	if err := l.Rewrite(slices.Values(entries("a"))); !errors.Is(err, ErrLocked) {
		t.Errorf("got %v", err)
	}
	check(t, other.Close())
	check(t, l.Rewrite(slices.Values(entries("a"))))
}
