package journal

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// queueOf leaves a queue with segments of two entries each, of which the first three are done with.
func queueOf(t *testing.T, count int) (path string, left []string) {
	t.Helper()
	path = t.TempDir()
	dir := mustDir(t, path, osFS{})
	q, _ := mustQueue(t, dir, QueueOptions{SegmentBytes: 1})
	texts := numbered(1, count)
	for i := 0; i < count; i += 2 {
		check(t, q.Append(entries(texts[i:i+2]...), nil))
	}
	for range 2 {
		_, mark, err := q.Next(1000, 2)
		check(t, err)
		check(t, q.Done(mark))
	}
	payloads, mark, err := q.Next(1000, 1)
	check(t, err)
	equal(t, "fifth", [][]byte{payloads[0]}[0], []byte(texts[4]))
	check(t, q.Done(mark))
	check(t, q.Close())
	check(t, dir.Close())
	return path, texts[5:]
}

// reopen is what a new process finds in a queue; it appends and reads, too.
func reopen(t *testing.T, path string) ([]string, Damage) {
	t.Helper()
	dir := mustDir(t, path, osFS{})
	q, damage := mustQueue(t, dir, QueueOptions{SegmentBytes: 1})
	weight := q.Weight()
	check(t, q.Append(entries("new"), nil))
	got := drain(t, q, 3, false)
	if len(got) == 0 || got[len(got)-1] != "new" {
		t.Fatalf("got %q", got)
	}
	if weight != int64(len(got)-1) || q.Weight() != weight+1 {
		t.Errorf("weight %d and %d of %d entries", weight, q.Weight(), len(got))
	}
	check(t, q.Close())
	check(t, dir.Close())
	return got[:len(got)-1], damage
}

func TestQueueWithAMissingSegment(t *testing.T) {
	for what, test := range map[string]struct {
		gone []uint64
		want func(left []string) []string
		lost int
	}{
		"none":          {nil, func(l []string) []string { return l }, 0},
		"first":         {[]uint64{3}, func(l []string) []string { return l[1:] }, 1},
		"first two":     {[]uint64{3, 4}, func(l []string) []string { return l[3:] }, 2},
		"middle":        {[]uint64{5}, func(l []string) []string { return slices.Concat(l[:3], l[5:]) }, 1},
		"two in middle": {[]uint64{5, 7}, func(l []string) []string { return slices.Concat(l[:3], l[5:7], l[9:]) }, 2},
		// No file says that there was one after it.
		"last": {[]uint64{10}, func(l []string) []string { return l[:len(l)-2] }, 0},
		// The cursor was in one.
		"all": {[]uint64{3, 4, 5, 6, 7, 8, 9, 10}, func([]string) []string { return nil }, 1},
	} {
		t.Run(what, func(t *testing.T) {
			path, left := queueOf(t, 20)
			for _, n := range test.gone {
				check(t, os.Remove(segmentPath(path, "queue", n)))
			}
			got, damage := reopen(t, path)
			equal(t, "left", got, test.want(left))
			if damage != (Damage{Segments: test.lost}) {
				t.Errorf("damage %+v", damage)
			}
		})
	}
}

func TestQueueWithAFileThatIsNone(t *testing.T) {
	for what, test := range map[string]struct {
		number  uint64
		content []byte
		want    func(left []string) []string
		damage  Damage
	}{
		"empty first":    {3, nil, func(l []string) []string { return l[1:] }, Damage{}},
		"empty middle":   {5, nil, func(l []string) []string { return slices.Concat(l[:3], l[5:]) }, Damage{Segments: 1}},
		"foreign":        {5, make([]byte, 99), func(l []string) []string { return slices.Concat(l[:3], l[5:]) }, Damage{Segments: 1}},
		"empty newest":   {11, nil, func(l []string) []string { return l }, Damage{}},
		"torn newest":    {11, []byte("spjour"), func(l []string) []string { return l }, Damage{Torn: 6}},
		"foreign newest": {11, make([]byte, 99), func(l []string) []string { return l }, Damage{Segments: 1}},
	} {
		t.Run(what, func(t *testing.T) {
			path, left := queueOf(t, 20)
			check(t, os.WriteFile(segmentPath(path, "queue", test.number), test.content, fileMode))
			for _, name := range []string{"README", "5.log", "00000005.log~"} {
				check(t, os.WriteFile(filepath.Join(path, "queue", name), []byte("foreign"), fileMode))
			}
			got, damage := reopen(t, path)
			equal(t, "left", got, test.want(left))
			if damage != test.damage {
				t.Errorf("damage %+v", damage)
			}
		})
	}
}

// Whatever bit of a segment is flipped, while the queue is open or not: one entry is lost at most, and
// that is said once.
func TestQueueAfterOneFlippedBit(t *testing.T) {
	path, left := queueOf(t, 8)
	file := segmentPath(path, "queue", 4)
	content, err := os.ReadFile(file)
	check(t, err)
	cursor, err := os.ReadFile(filepath.Join(path, "queue", cursorName))
	check(t, err)
	for bit := range int64(len(content)) * 8 {
		dir := mustDir(t, path, osFS{})
		open, damage := mustQueue(t, dir, QueueOptions{})
		if damage.Any() {
			t.Fatalf("bit %d: damage %+v before", bit, damage)
		}
		flip(t, file, bit)
		var got []string
		said := 0
		for {
			payloads, _, err := open.Next(1000, 10)
			if damage := (Damage{}); errors.As(err, &damage) && damage.Any() {
				said++
				continue
			}
			check(t, err)
			if len(payloads) == 0 {
				break
			}
			got = append(got, texts(payloads)...)
		}
		if !subsequence(got, left) || len(got) < len(left)-1 || said != 1 {
			t.Fatalf("bit %d, while open: got %q, said %d times", bit, got, said)
		}
		if open.Weight() != int64(len(got)) {
			t.Fatalf("bit %d, while open: weight %d of %d", bit, open.Weight(), len(got))
		}
		check(t, dir.Close())
		after, damage := reopen(t, path)
		if !slices.Equal(after, got) || !damage.Any() {
			t.Fatalf("bit %d: got %q, while open %q, damage %+v", bit, after, got, damage)
		}
		open.Close()
		// As it was: the queue was appended to and read.
		for _, n := range []uint64{5, 6} {
			os.Remove(segmentPath(path, "queue", n))
		}
		check(t, os.WriteFile(file, content, fileMode))
		check(t, os.WriteFile(filepath.Join(path, "queue", cursorName), cursor, fileMode))
	}
}

// What was found when the queue was opened is not said again when it is read; a torn tail is cut off, and
// is not found again.
func TestDamageIsSaidOnce(t *testing.T) {
	for what, test := range map[string]struct {
		number uint64
		cut    int64
		want   Damage
		again  Damage
	}{
		"torn tail": {10, 1, Damage{Torn: frameHeaderSize + metaSize + 30}, Damage{}},
		"torn in the middle": {5, 1, Damage{Entries: 1, Bytes: frameHeaderSize + metaSize + 20},
			Damage{Entries: 1, Bytes: frameHeaderSize + metaSize + 20}},
	} {
		path, left := queueOf(t, 20)
		file := segmentPath(path, "queue", test.number)
		info, err := os.Stat(file)
		check(t, err)
		check(t, os.Truncate(file, info.Size()-test.cut))
		for _, want := range []Damage{test.want, test.again} {
			dir := mustDir(t, path, osFS{})
			q, damage := mustQueue(t, dir, QueueOptions{})
			if damage != want {
				t.Errorf("%s: damage %+v, want %+v", what, damage, want)
			}
			n := 0
			for {
				payloads, _, err := q.Next(1000, 10)
				check(t, err)
				if len(payloads) == 0 {
					break
				}
				n += len(payloads)
			}
			if n != len(left)-1 {
				t.Errorf("%s: %d entries of %d", what, n, len(left))
			}
			check(t, q.Close())
			check(t, dir.Close())
		}
	}
}

// A cursor with a flipped bit costs a repeat: of what was done with last, or all that is still there.
func TestQueueWithADamagedCursor(t *testing.T) {
	path, left := queueOf(t, 8)
	all := numbered(5, 8)
	for bit := range int64(cursorSize) * 8 {
		if at := bit / 8; at >= cursorSlot && at < cursorStride {
			// Nothing is there.
			continue
		}
		file := filepath.Join(path, "queue", cursorName)
		intact, err := os.ReadFile(file)
		check(t, err)
		flip(t, file, bit)
		dir := mustDir(t, path, osFS{})
		q, damage := mustQueue(t, dir, QueueOptions{})
		got := drain(t, q, 10, false)
		if !slices.Equal(got, left) && !slices.Equal(got, all) || damage.Entries+damage.Segments > 0 {
			t.Fatalf("bit %d: got %q, damage %+v", bit, got, damage)
		}
		q.worker.close(func() error { return nil })
		check(t, dir.Close())
		check(t, os.WriteFile(file, intact, fileMode))
	}
	for what, content := range map[string][]byte{"empty": nil, "zeros": make([]byte, cursorSize)} {
		check(t, os.WriteFile(filepath.Join(path, "queue", cursorName), content, fileMode))
		dir := mustDir(t, path, osFS{})
		q, damage := mustQueue(t, dir, QueueOptions{})
		equal(t, what, drain(t, q, 10, false), all)
		t.Log(what, damage)
		q.worker.close(func() error { return nil })
		check(t, dir.Close())
	}
}

// A segment that is removed by someone while the queue is open is lost, and nothing else.
func TestSegmentThatGoesWhileOpen(t *testing.T) {
	path, left := queueOf(t, 20)
	dir := mustDir(t, path, osFS{})
	q, _ := mustQueue(t, dir, QueueOptions{})
	check(t, os.Remove(segmentPath(path, "queue", 5)))
	got := drain(t, q, 10, true)
	equal(t, "left", got, slices.Concat(left[:3], left[5:]))
	if q.Weight() != 0 {
		t.Errorf("weight %d", q.Weight())
	}
}
