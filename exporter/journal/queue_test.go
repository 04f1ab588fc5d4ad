package journal

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestQueueHandsOutWhatWasAppended(t *testing.T) {
	for _, sync := range []bool{false, true} {
		path := t.TempDir()
		dir := mustDir(t, path, osFS{})
		q, damage := mustQueue(t, dir, QueueOptions{Sync: sync, SegmentBytes: 500})
		if damage.Any() {
			t.Errorf("damage %+v", damage)
		}
		if payloads, _, err := q.Next(10, 10); len(payloads) > 0 || err != nil {
			t.Errorf("empty: %q, %v", payloads, err)
		}
		check(t, q.Append(nil, nil))
		texts := append(numbered(1, 50), "")
		for begin := 0; begin < len(texts); begin += 3 {
			check(t, q.Append(entries(texts[begin:begin+3]...), nil))
		}
		if onDisk := folderSize(t, filepath.Join(path, "queue")); q.Size() != onDisk {
			t.Errorf("size %d, on disk %d", q.Size(), onDisk)
		}
		equal(t, "handed out", drain(t, q, 7, false), texts)
		if q.Weight() != int64(len(texts)) {
			t.Errorf("weight %d", q.Weight())
		}
		check(t, q.Close())
		check(t, dir.Close())
		// Nothing was done with, so that all of it is there again.
		dir = mustDir(t, path, osFS{})
		q, _ = mustQueue(t, dir, QueueOptions{Sync: sync})
		if q.Weight() != int64(len(texts)) {
			t.Errorf("reopened: weight %d", q.Weight())
		}
		equal(t, "reopened", drain(t, q, 7, true), texts)
		if q.Weight() != 0 {
			t.Errorf("done with: weight %d", q.Weight())
		}
		check(t, q.Close())
		equal(t, "files", names(t, filepath.Join(path, "queue")), []string{cursorName})
		check(t, dir.Close())
	}
}

func TestNextKeepsItsLimits(t *testing.T) {
	dir := mustDir(t, t.TempDir(), osFS{})
	q, _ := mustQueue(t, dir, QueueOptions{})
	check(t, q.Append(entries("aa", "bb", "cc", "dddddddd", "ee", "ff"), []int{1, 2, 3, 4, 50, 1}))
	for i, want := range []struct {
		bytes, weight int
		got           []string
	}{
		{4, 100, []string{"aa", "bb"}}, // no third by bytes
		{100, 6, []string{"cc"}},       // no second by weight
		{1, 100, []string{"dddddddd"}}, // one at least
		{100, 1, []string{"ee"}},       // one at least
		{100, 100, []string{"ff"}},     // no more
		{100, 100, nil},                // nothing
	} {
		payloads, _, err := q.Next(want.bytes, want.weight)
		check(t, err)
		if !slices.Equal(texts(payloads), want.got) {
			t.Errorf("%d: got %q, want %q", i, texts(payloads), want.got)
		}
	}
	if q.Weight() != 61 {
		t.Errorf("weight %d", q.Weight())
	}
}

func TestAppendRefusesWhatCannotBe(t *testing.T) {
	dir := mustDir(t, t.TempDir(), osFS{})
	q, _ := mustQueue(t, dir, QueueOptions{})
	if err := q.Append(entries("a", "b"), []int{1}); err == nil {
		t.Error("one weight for two")
	}
	if err := q.Append([][]byte{make([]byte, MaxEntry+1)}, nil); err == nil {
		t.Error("an entry that is too large")
	}
	check(t, q.Append([][]byte{make([]byte, MaxEntry)}, nil))
	payloads, _, err := q.Next(1, 1)
	check(t, err)
	if len(payloads) != 1 || len(payloads[0]) != MaxEntry {
		t.Error("the largest entry is not handed out")
	}
	check(t, q.Close())
	for what, err := range map[string]error{
		"append": q.Append(entries("a"), nil), "done": q.Done(1), "close": q.Close(),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Done works across segments, in any steps, and survives a crash; what was not done with comes again.
func TestDoneAcrossSegments(t *testing.T) {
	path := t.TempDir()
	dir := mustDir(t, path, osFS{})
	q, _ := mustQueue(t, dir, QueueOptions{SegmentBytes: 300})
	all := numbered(1, 60)
	var marks []uint64
	var batches [][]string
	for _, s := range all {
		check(t, q.Append(entries(s), []int{2}))
	}
	before := len(names(t, filepath.Join(path, "queue")))
	for {
		payloads, mark, err := q.Next(1000, 10)
		check(t, err)
		if len(payloads) == 0 {
			break
		}
		marks, batches = append(marks, mark), append(batches, texts(payloads))
	}
	for _, i := range []int{0, 3, 2, len(marks) - 3} {
		check(t, q.Done(marks[i]))
		rest := slices.Concat(batches[min(i, len(batches)-1)+1:]...)
		if i == 2 {
			// It was done with.
			rest = slices.Concat(batches[4:]...)
		}
		left := len(rest)
		if q.Weight() != 2*int64(left) {
			t.Errorf("done %d: weight %d, want %d", i, q.Weight(), 2*left)
		}
		// A crash: another process opens what this one leaves, without a Close.
		check(t, dir.Close())
		other := mustDir(t, path, osFS{})
		again, damage := mustQueue(t, other, QueueOptions{})
		if damage.Any() || again.Weight() != 2*int64(left) {
			t.Errorf("done %d: reopened: weight %d, damage %+v", i, again.Weight(), damage)
		}
		equal(t, "reopened", drain(t, again, 100, false), rest)
		again.Close()
		other.Close()
		dir = mustDir(t, path, osFS{})
	}
	if after := len(names(t, filepath.Join(path, "queue"))); after >= before/2 {
		t.Errorf("%d files, were %d", after, before)
	}
	// Numbers go on.
	check(t, q.Close())
	q, _ = mustQueue(t, dir, QueueOptions{SegmentBytes: 300})
	last := names(t, filepath.Join(path, "queue"))
	for range 20 {
		check(t, q.Append(entries(strings.Repeat("n", 100)), nil))
	}
	now := names(t, filepath.Join(path, "queue"))
	if newest, _ := parseName(now[len(now)-2]); now[0] != last[0] || newest < uint64(before) {
		t.Errorf("files %v, were %v", now, last)
	}
}

func TestOldestIsThatOfWhatIsNotDoneWith(t *testing.T) {
	for _, segment := range []int64{0, 50} {
		t.Run(fmt.Sprint(segment), func(t *testing.T) {
			now := time.Unix(1000, 0)
			path := t.TempDir()
			dir := mustDir(t, path, osFS{})
			options := QueueOptions{SegmentBytes: segment, Now: func() time.Time { return now }}
			q, _ := mustQueue(t, dir, options)
			is := func(what string, second int64) {
				t.Helper()
				want := time.Unix(second, 0)
				if second == 0 {
					want = time.Time{}
				}
				if got := q.Oldest(); !got.Equal(want) {
					t.Errorf("%s: %v, want %v", what, got.Unix(), second)
				}
			}
			is("empty", 0)
			for second := range int64(5) {
				now = time.Unix(1000+second, 0)
				check(t, q.Append(entries("a", "b"), nil))
				is("appended", 1000)
			}
			_, first, err := q.Next(100, 3)
			check(t, err)
			is("handed out", 1000)
			check(t, q.Done(first))
			if segment == 0 {
				is("done with three", 1001)
			} else {
				is("done with two", 1001)
			}
			check(t, q.Close())
			q, _ = mustQueue(t, dir, options)
			is("reopened", 1001)
			var marks []uint64
			for {
				payloads, mark, err := q.Next(100, 2)
				check(t, err)
				if len(payloads) == 0 {
					break
				}
				marks = append(marks, mark)
			}
			is("all handed out", 1001)
			check(t, q.Done(marks[len(marks)-2]))
			is("done with all but one batch", 1004)
			now = time.Unix(1010, 0)
			check(t, q.Append(entries("c"), nil))
			is("appended again", 1004)
			check(t, q.Done(marks[len(marks)-1]))
			is("done with what was handed out", 1010)
			drain(t, q, 1, true)
			is("done with all", 0)
		})
	}
}

// An entry can be appended while the one before it is being read.
func TestOldestOfWhatWasAppendedWhileReading(t *testing.T) {
	var q *Queue
	now := time.Unix(1000, 0)
	between := false
	dir := mustDir(t, t.TempDir(), osFS{})
	q, _ = mustQueue(t, dir, QueueOptions{Now: func() time.Time {
		if between {
			between = false
			now = now.Add(time.Second)
			check(t, q.Append(entries("b"), nil))
		}
		return now
	}})
	check(t, q.Append(entries("a"), nil))
	between = true
	payloads, mark, err := q.Next(10, 10)
	check(t, err)
	equal(t, "handed out", texts(payloads), []string{"a"})
	check(t, q.Done(mark))
	if got := q.Oldest(); got.Unix() != 1001 {
		t.Errorf("oldest is of second %d", got.Unix())
	}
	equal(t, "left", drain(t, q, 1, true), []string{"b"})
}

func BenchmarkQueue(b *testing.B) {
	dir := mustDir(b, b.TempDir(), osFS{})
	q, _ := mustQueue(b, dir, QueueOptions{})
	batch := [][]byte{make([]byte, 700)}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		check(b, q.Append(batch, nil))
		if n%64 == 63 {
			_, mark, err := q.Next(1<<20, 512)
			check(b, err)
			check(b, q.Done(mark))
		}
	}
}
