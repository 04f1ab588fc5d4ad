package journal

import (
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// When all is done with, nothing is left on disk a second after; but a queue that is nearly empty all
// the time does not make a file for each entry.
func TestQueueLeavesNothing(t *testing.T) {
	path := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		disk := &hookFS{}
		dir := mustDir(t, path, disk)
		q, _ := mustQueue(t, dir, QueueOptions{})
		created := 0
		disk.set(func(s step) error {
			if s.op == "create" && s.path != cursorName {
				created++
			}
			return nil
		})
		for range 3000 {
			check(t, q.Append(entries("a"), nil))
			if got := drain(t, q, 10, true); len(got) != 1 {
				t.Fatalf("got %q", got)
			}
			time.Sleep(time.Millisecond)
		}
		if created > 4 {
			t.Errorf("%d files in 3 s", created)
		}
		time.Sleep(emptyDelay + time.Millisecond)
		synctest.Wait()
		equal(t, "files", names(t, filepath.Join(path, "queue")), []string{cursorName})
		if q.Size() != cursorSize {
			t.Errorf("size %d", q.Size())
		}
		// What was not done with stays.
		check(t, q.Append(entries("b", "c"), nil))
		_, mark, err := q.Next(1, 1)
		check(t, err)
		check(t, q.Done(mark))
		time.Sleep(time.Minute)
		synctest.Wait()
		equal(t, "left", drain(t, q, 10, false), []string{"c"})
		// A file that cannot be removed is tried again.
		disk.set(func(s step) error {
			if s.op == "remove" {
				return errors.New("not now")
			}
			return nil
		})
		check(t, q.Done(mark+1))
		time.Sleep(time.Minute)
		disk.set(nil)
		time.Sleep(emptyDelay + time.Millisecond)
		synctest.Wait()
		equal(t, "files", names(t, filepath.Join(path, "queue")), []string{cursorName})
		check(t, q.Close())
		check(t, dir.Close())
	})
}

// A queue that nobody uses leaves no trace.
func TestUnusedQueue(t *testing.T) {
	path := t.TempDir()
	dir := mustDir(t, path, osFS{})
	q, _ := mustQueue(t, dir, QueueOptions{})
	check(t, q.Done(5))
	check(t, q.Close())
	equal(t, "files", names(t, path), []string{"lock"})
}

// A file that takes no more (a limit of the size of a file, a fault of this one) is not the end.
func TestQueueGoesOnInANewSegment(t *testing.T) {
	path := t.TempDir()
	disk := &hookFS{}
	dir := mustDir(t, path, disk)
	q, _ := mustQueue(t, dir, QueueOptions{Sync: true})
	check(t, q.Append(entries("a"), nil))
	for i, op := range []string{"write", "sync"} {
		disk.set(func(s step) error {
			if s.op == op && s.path == fileName(uint64(i)+1) {
				return errors.New("no more")
			}
			return nil
		})
		check(t, q.Append(entries(op), nil))
	}
	disk.set(nil)
	equal(t, "handed out", drain(t, q, 1, false), []string{"a", "write", "sync"})
	equal(t, "files", names(t, filepath.Join(path, "queue")), []string{fileName(1), fileName(2), fileName(3)})
	check(t, q.Close())
	q, damage := mustQueue(t, dir, QueueOptions{})
	equal(t, "reopened", drain(t, q, 1, true), []string{"a", "write", "sync"})
	if damage.Any() {
		t.Errorf("damage %+v", damage)
	}
}
