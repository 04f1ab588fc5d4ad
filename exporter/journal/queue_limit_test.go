package journal

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// limited is a queue with a limit, and what it dropped.
type limited struct {
	*Queue
	limit   int64
	dropped int
	folder  string
}

func newLimited(t *testing.T, limit int64) *limited {
	t.Helper()
	path := t.TempDir()
	out := &limited{limit: limit, folder: filepath.Join(path, "queue")}
	out.Queue, _ = mustQueue(t, mustDir(t, path, osFS{}), QueueOptions{
		Limit: func() int64 { return out.limit }, Dropped: func(weight int) { out.dropped += weight },
	})
	return out
}

// check compares what is on disk with the limit, and with what the queue says.
func (l *limited) check(t *testing.T) {
	t.Helper()
	onDisk := folderSize(t, l.folder)
	if onDisk > l.limit {
		t.Fatalf("%d bytes on disk, %d allowed", onDisk, l.limit)
	}
	if l.Size() != onDisk {
		t.Fatalf("size %d, on disk %d", l.Size(), onDisk)
	}
}

func TestOldestGoAtTheLimit(t *testing.T) {
	const count = 3000
	for _, limit := range []int64{5_000, 200_000, 1_000_000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			q := newLimited(t, limit)
			for n := 1; n <= count; n++ {
				check(t, q.Append([][]byte{killEntry(n)}, nil))
				q.check(t)
			}
			if q.dropped+int(q.Weight()) != count {
				t.Errorf("%d dropped, %d left of %d", q.dropped, q.Weight(), count)
			}
			got := drain(t, q.Queue, 100, true)
			bytes := int64(0)
			for i, e := range got {
				bytes += frameHeaderSize + metaSize + int64(len(e))
				if killNumber(t, e) != q.dropped+1+i {
					t.Fatalf("entry %d at %d, with %d dropped", killNumber(t, e), i, q.dropped)
				}
			}
			// No more goes at once than a segment, an eighth of the limit.
			if limit > segmentsInLimit*minSegmentBytes && bytes < limit*6/8 {
				t.Errorf("only %d bytes were kept", bytes)
			}
			if q.Weight() != 0 {
				t.Errorf("weight %d", q.Weight())
			}
		})
	}
}

// What was handed out is not dropped, though its segment goes: who has it may still be done with it.
func TestDroppedUnderTheReader(t *testing.T) {
	q := newLimited(t, 700_000)
	large := strings.Repeat("x", 10_000)
	n := 0
	add := func() {
		n++
		check(t, q.Append(entries(fmt.Sprintf("%04d%s", n, large)), nil))
		q.check(t)
	}
	for n < 10 {
		add()
	}
	payloads, mark, err := q.Next(1<<20, 4)
	check(t, err)
	if len(payloads) != 4 {
		t.Fatalf("%d handed out", len(payloads))
	}
	oldest := q.Oldest()
	for n < 200 {
		add()
	}
	if !q.Oldest().Equal(oldest) {
		t.Error("what was handed out is not the oldest any more")
	}
	if q.dropped+int(q.Weight()) != n {
		t.Errorf("%d dropped, %d left of %d", q.dropped, q.Weight(), n)
	}
	next, later, err := q.Next(1<<20, 1)
	check(t, err)
	// 4 handed out before what was dropped.
	if want := fmt.Sprintf("%04d", 4+q.dropped+1); len(next) != 1 || string(next[0][:4]) != want {
		t.Errorf("next is %.4q, want %s", next, want)
	}
	weight := q.Weight()
	check(t, q.Done(mark))
	if q.Weight() != weight-4 {
		t.Errorf("weight %d, was %d", q.Weight(), weight)
	}
	check(t, q.Done(later))
	check(t, q.Done(mark))
	if got := len(drain(t, q.Queue, 10, true)); int64(got) != weight-5 {
		t.Errorf("%d were left of weight %d", got, weight-5)
	}
	if q.Weight() != 0 || !q.Oldest().IsZero() {
		t.Errorf("weight %d, oldest %v", q.Weight(), q.Oldest())
	}
}

// The limit changes: others need the space.
func TestLimitShrinks(t *testing.T) {
	q := newLimited(t, 1_000_000)
	for range 900 {
		check(t, q.Append(entries(strings.Repeat("x", 1000)), []int{2}))
	}
	for q.limit > 2000 {
		q.limit /= 2
		check(t, q.Append(entries("small"), nil))
		q.check(t)
	}
	before := q.dropped + int(q.Weight())
	q.limit = 0
	if err := q.Append(entries("small"), nil); !errors.Is(err, ErrFull) {
		t.Errorf("no room at all: %v", err)
	}
	if q.Weight() != 0 || q.dropped != before {
		t.Errorf("weight %d, %d dropped of %d", q.Weight(), q.dropped, before)
	}
	equal(t, "files", names(t, q.folder), []string{cursorName})
	if got := drain(t, q.Queue, 10, true); got != nil {
		t.Errorf("got %q", got)
	}
	q.limit = 2000
	check(t, q.Append(entries("again"), nil))
	equal(t, "with room", drain(t, q.Queue, 10, true), []string{"again"})
}

func TestBatchThatIsLargerThanTheLimit(t *testing.T) {
	q := newLimited(t, 10_000)
	check(t, q.Append(entries("a"), nil))
	if err := q.Append([][]byte{make([]byte, 10_000)}, nil); !errors.Is(err, ErrFull) {
		t.Errorf("got %v", err)
	}
	equal(t, "left", drain(t, q.Queue, 10, true), []string{"a"})
	if q.dropped != 0 {
		t.Errorf("%d dropped", q.dropped)
	}
}

// What cannot be removed does not let the queue grow beyond its limit.
func TestLimitWhenNothingCanBeRemoved(t *testing.T) {
	path := t.TempDir()
	disk := &hookFS{}
	const limit = 300_000
	dropped := 0
	q, _ := mustQueue(t, mustDir(t, path, disk), QueueOptions{
		Limit: func() int64 { return limit }, Dropped: func(weight int) { dropped += weight },
	})
	denied := errors.New("denied")
	disk.set(func(s step) error {
		if s.op == "remove" {
			return denied
		}
		return nil
	})
	failed := 0
	for range 1000 {
		if err := q.Append([][]byte{make([]byte, 1000)}, nil); errors.Is(err, denied) {
			failed++
		} else {
			check(t, err)
		}
		if onDisk := folderSize(t, filepath.Join(path, "queue")); onDisk > limit || q.Size() != onDisk {
			t.Fatalf("size %d, on disk %d", q.Size(), onDisk)
		}
	}
	if failed == 0 {
		t.Error("it never failed")
	}
	disk.set(nil)
	check(t, q.Append(entries("a"), nil))
	if int(q.Weight())+dropped+failed != 1001 {
		t.Errorf("weight %d, %d dropped, %d failed", q.Weight(), dropped, failed)
	}
}

// One appends, one reads, one looks, and the limit is close: every entry is handed out or dropped, once.
func TestQueueUnderLoad(t *testing.T) {
	const count = 20_000
	q := newLimited(t, 150_000)
	var all sync.WaitGroup
	ended := make(chan struct{})
	all.Go(func() {
		defer close(ended)
		for n := 1; n <= count; n++ {
			if err := q.Append([][]byte{killEntry(n)}, nil); err != nil {
				t.Error(err)
			}
		}
	})
	all.Go(func() {
		for {
			select {
			case <-ended:
				return
			default:
				_, _, _ = q.Size(), q.Weight(), q.Oldest()
			}
		}
	})
	got := 0
	all.Go(func() {
		last := 0
		for {
			over := false
			select {
			case <-ended:
				over = true
			default:
			}
			payloads, mark, err := q.Next(100_000, 64)
			if err != nil {
				t.Error(err)
			}
			for _, p := range payloads {
				n := killNumber(t, string(p))
				if n <= last {
					t.Errorf("entry %d after %d", n, last)
				}
				last = n
			}
			got += len(payloads)
			if err := q.Done(mark); err != nil {
				t.Error(err)
			}
			if over && len(payloads) == 0 {
				return
			}
		}
	})
	all.Wait()
	if got+q.dropped != count || q.Weight() != 0 {
		t.Errorf("%d handed out, %d dropped, weight %d of %d", got, q.dropped, q.Weight(), count)
	}
	t.Logf("%d handed out, %d dropped", got, q.dropped)
}
