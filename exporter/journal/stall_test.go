package journal

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// hang makes the disk hang at steps of a kind until release is called.
func hang(disk *hookFS, op string) (release func()) {
	gate := make(chan struct{})
	disk.set(func(s step) error {
		if s.op == op {
			<-gate
		}
		return nil
	})
	return func() { disk.set(nil); close(gate) }
}

// took is how long something took, in the time of a bubble.
func took(f func() error) (time.Duration, error) {
	began := time.Now()
	err := f()
	return time.Since(began), err
}

func TestLogOnADiskThatHangs(t *testing.T) {
	for _, op := range []string{"write", "sync"} {
		path := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			disk := &hookFS{}
			dir := mustDir(t, path, disk)
			l, _, _ := mustLog(t, dir, LogOptions{Sync: true, StallLimit: 3 * time.Second})
			check(t, l.Append(entries("a")))
			size := l.Size()
			release := hang(disk, op)
			memory := []byte("b")
			for i, want := range []time.Duration{3 * time.Second, 0, 0} {
				d, err := took(func() error { return l.Append([][]byte{memory}) })
				if !errors.Is(err, ErrStalled) || d != want {
					t.Errorf("append %d: %v after %v, want it after %v", i, err, d, want)
				}
				memory[0] = 'x'
			}
			d, err := took(func() error { return l.Rewrite(slices.Values(entries("s"))) })
			if !errors.Is(err, ErrStalled) || d != 0 {
				t.Errorf("rewrite: %v after %v", err, d)
			}
			if l.Size() != size {
				t.Errorf("size %d, was %d", l.Size(), size)
			}
			release()
			synctest.Wait()
			if err := l.Append(entries("c")); !errors.Is(err, ErrBroken) {
				t.Errorf("after it: %v", err)
			}
			check(t, l.Rewrite(slices.Values(entries("a", "b"))))
			check(t, l.Append(entries("c")))
			check(t, l.Close())
			check(t, dir.Close())
		})
		got, damage := reread(t, path)
		equal(t, "replayed", got, []string{"a", "b", "c"})
		if damage.Any() {
			t.Errorf("damage %+v", damage)
		}
	}
}

// A Rewrite may hang at any step, and come to its end when nobody waits for it.
func TestRewriteOnADiskThatHangs(t *testing.T) {
	for _, op := range []string{"create", "write", "sync", "rename", "syncdir", "remove"} {
		path := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			disk := &hookFS{}
			dir := mustDir(t, path, disk)
			l, _, _ := mustLog(t, dir, LogOptions{Sync: true})
			check(t, l.Append(entries("a")))
			release := hang(disk, op)
			d, err := took(func() error { return l.Rewrite(slices.Values(entries("s"))) })
			// When all but the removal has been done, the state is on disk.
			if errors.Is(err, ErrStalled) == (op == "remove") || d != DefaultStallLimit {
				t.Errorf("%s: %v after %v", op, err, d)
			}
			if err := l.Append(entries("b")); !errors.Is(err, ErrStalled) {
				t.Errorf("%s: append: %v", op, err)
			}
			release()
			synctest.Wait()
			if err := l.Append(entries("b")); !errors.Is(err, ErrBroken) {
				t.Errorf("%s: append after it: %v", op, err)
			}
			check(t, l.Rewrite(slices.Values(entries("a", "b"))))
			check(t, l.Append(entries("c")))
			check(t, l.Close())
			check(t, dir.Close())
		})
		got, _ := reread(t, path)
		equal(t, op, got, []string{"a", "b", "c"})
	}
}

func TestQueueOnADiskThatHangs(t *testing.T) {
	for i, op := range []string{"write", "sync", "write", "sync", "create", "syncdir"} {
		// The batch goes behind what there is, or to a new segment.
		segment := int64(0)
		if i >= 2 {
			segment = 100
		}
		path := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			disk := &hookFS{}
			dir := mustDir(t, path, disk)
			q, _ := mustQueue(t, dir, QueueOptions{Sync: true, SegmentBytes: segment})
			check(t, q.Append(entries("a"), nil))
			_, mark, err := q.Next(1, 1)
			check(t, err)
			oldest := q.Oldest()
			release := hang(disk, op)
			// It is more than what follows it.
			lost := numbered(1, 5)
			for i, want := range []time.Duration{DefaultStallLimit, 0, 0} {
				d, err := took(func() error { return q.Append(entries(lost...), nil) })
				if !errors.Is(err, ErrStalled) || d != want {
					t.Errorf("%s: append %d: %v after %v, want it after %v", op, i, err, d, want)
				}
			}
			// What asks nothing of the disk works all the same, and nothing of the batch is there.
			if q.Weight() != 1 || q.Oldest() != oldest {
				t.Errorf("%s: weight %d, oldest %v", op, q.Weight(), q.Oldest())
			}
			if payloads, _, err := q.Next(100, 100); len(payloads) > 0 || err != nil {
				t.Errorf("%s: next: %q, %v", op, payloads, err)
			}
			if d, err := took(func() error { return q.Done(mark) }); !errors.Is(err, ErrStalled) || d != 0 {
				t.Errorf("%s: done: %v after %v", op, err, d)
			}
			if q.Weight() != 0 || !q.Oldest().IsZero() {
				t.Errorf("%s: done: weight %d, oldest %v", op, q.Weight(), q.Oldest())
			}
			release()
			synctest.Wait()
			check(t, q.Append(entries("b"), nil))
			check(t, q.Append(entries("c"), nil))
			equal(t, op, drain(t, q, 1, false), []string{"b", "c"})
			check(t, q.Close())
			check(t, dir.Close())
		})
		dir := mustDir(t, path, osFS{})
		q, damage := mustQueue(t, dir, QueueOptions{})
		equal(t, op+" reopened", drain(t, q, 1, true), []string{"b", "c"})
		if damage.Any() {
			t.Errorf("%s: damage %+v", op, damage)
		}
	}
}

// Close waits no longer than anything else, and what hangs ends when it can.
func TestCloseOnADiskThatHangs(t *testing.T) {
	path := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		disk := &hookFS{}
		dir := mustDir(t, path, disk)
		l, _, _ := mustLog(t, dir, LogOptions{})
		q, _ := mustQueue(t, dir, QueueOptions{})
		release := hang(disk, "write")
		for what, f := range map[string]func() error{
			"log":   func() error { return l.Append(entries("a")) },
			"queue": func() error { return q.Append(entries("a"), nil) },
		} {
			if d, err := took(f); !errors.Is(err, ErrStalled) || d != DefaultStallLimit {
				t.Errorf("append to the %s: %v after %v", what, err, d)
			}
		}
		for what, f := range map[string]func() error{"log": l.Close, "queue": q.Close} {
			if d, err := took(f); !errors.Is(err, ErrStalled) || d != DefaultStallLimit {
				t.Errorf("close the %s: %v after %v", what, err, d)
			}
			if err := f(); !errors.Is(err, ErrClosed) {
				t.Errorf("close the %s again: %v", what, err)
			}
		}
		check(t, dir.Close())
		release()
	})
}
