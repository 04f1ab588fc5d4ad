package journal

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// The process ends between any two steps of the disk, or in the middle of one. What was acknowledged and
// not done with is there; what was done with is not, unless saying so failed.
func TestQueueAfterACrashAtAnyStep(t *testing.T) {
	for _, sync := range []bool{false, true} {
		for _, torn := range []func(int) int{nil, func(n int) int { return n / 2 }, func(n int) int { return n - 1 }} {
			for steps := 0; ; steps++ {
				path := t.TempDir()
				disk := &hookFS{}
				dir := mustDir(t, path, disk)
				q, _ := mustQueue(t, dir, QueueOptions{Sync: sync, SegmentBytes: 150})
				crashed := false
				disk.set(crashAt(steps, torn, &crashed))
				acknowledged, tried, done := playQueue(t, q, &crashed)
				q.Close()
				dir.Close()

				when := fmt.Sprintf("sync %v, %d steps", sync, steps)
				dir = mustDir(t, path, osFS{})
				q, damage := mustQueue(t, dir, QueueOptions{SegmentBytes: 150})
				if damage.Entries+damage.Segments > 0 {
					t.Fatalf("%s: damage %+v", when, damage)
				}
				got := drain(t, q, 3, false)
				if !subsequence(got, tried) || !subsequence(acknowledged[done:], got) || !crashed && len(got) > len(acknowledged)-done {
					t.Fatalf("%s: got %q, want %q", when, got, acknowledged[done:])
				}
				check(t, q.Append(entries("new"), nil))
				q.Close()
				dir.Close()
				after, damage := reopen(t, path)
				equal(t, when+", appended", after, append(got, "new"))
				if damage.Any() {
					t.Fatalf("%s: again: damage %+v", when, damage)
				}
				if !crashed {
					break
				}
			}
		}
	}
}

// playQueue appends, reads and is done with things until the disk crashes. It returns what was
// acknowledged, what was tried, and how many were done with.
func playQueue(t *testing.T, q *Queue, crashed *bool) (acknowledged, tried []string, done int) {
	t.Helper()
	all := numbered(1, 24)
	for i := 0; i < len(all) && !*crashed; i += 2 {
		tried = all[:i+2]
		if q.Append(entries(all[i:i+2]...), nil) == nil {
			acknowledged = tried
		}
		if i%6 != 4 || *crashed {
			continue
		}
		payloads, mark, err := q.Next(1000, 3)
		check(t, err)
		equal(t, "handed out", texts(payloads), all[done:done+len(payloads)])
		// Whether or not this succeeds, they may be gone.
		done += len(payloads)
		_ = q.Done(mark)
	}
	return acknowledged, tried, done
}

// The power fails at any step: of what was not synced, any part may be missing. What was acknowledged is
// there; what was done with may be there again.
func TestSyncedQueueAfterAPowerCutAtAnyStep(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for steps := 0; ; steps++ {
		crashed := false
		for range 5 {
			path := t.TempDir()
			disk := newPowerFS()
			dir := mustDir(t, path, disk)
			q, _ := mustQueue(t, dir, QueueOptions{Sync: true, SegmentBytes: 150})
			stopped := false
			disk.set(crashAt(steps, func(n int) int { return random.IntN(n + 1) }, &stopped))
			acknowledged, tried, done := playQueue(t, q, &stopped)
			crashed = crashed || stopped
			q.Close()
			dir.Close()
			check(t, disk.cut(random))
			got, _ := reopen(t, path)
			if !subsequence(got, tried) || !subsequence(acknowledged[done:], got) {
				t.Fatalf("%d steps: got %q, want %q", steps, got, acknowledged[done:])
			}
		}
		if !crashed {
			return
		}
	}
}
