package journal

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// snapshotLog leaves a log of one segment: a snapshot of two entries, then two more.
func snapshotLog(t *testing.T) (path string, size int64) {
	t.Helper()
	path = t.TempDir()
	dir := mustDir(t, path, osFS{})
	l, _, _ := mustLog(t, dir, LogOptions{})
	check(t, l.Rewrite(slices.Values(entries("s1", "s2"))))
	check(t, l.Append(entries("a1", "a2")))
	size = l.Size()
	check(t, l.Close())
	check(t, dir.Close())
	return path, size
}

// Whatever bit of a log is flipped, the end-of-snapshot marker and the headers included: one entry is
// lost at most, that is said, and what is appended after is found.
func TestLogAfterOneFlippedBit(t *testing.T) {
	path, size := snapshotLog(t)
	file := segmentPath(path, "log", 1)
	intact, err := os.ReadFile(file)
	check(t, err)
	all := []string{"s1", "s2", "a1", "a2"}
	for bit := range size * 8 {
		flip(t, file, bit)
		dir := mustDir(t, path, osFS{})
		l, got, damage := mustLog(t, dir, LogOptions{})
		if !subsequence(got, all) || len(got) < len(all)-1 || !damage.Any() {
			t.Fatalf("bit %d: %v, damage %+v", bit, got, damage)
		}
		check(t, l.Append(entries("new")))
		l.Close()
		dir.Close()
		if after, _ := reread(t, path); !slices.Equal(after, append(got, "new")) {
			t.Fatalf("bit %d: appended to %v: %v", bit, got, after)
		}
		check(t, os.WriteFile(file, intact, fileMode))
	}
}

// Every torn tail is cut off, and said once.
func TestLogAfterATornTail(t *testing.T) {
	path, size := snapshotLog(t)
	file := segmentPath(path, "log", 1)
	intact, err := os.ReadFile(file)
	check(t, err)
	snapshot := size - 2*int64(frameHeaderSize+2)
	for cut := snapshot; cut < size; cut++ {
		check(t, os.WriteFile(file, intact[:cut], fileMode))
		dir := mustDir(t, path, osFS{})
		l, got, damage := mustLog(t, dir, LogOptions{})
		whole := (cut - snapshot) / (frameHeaderSize + 2)
		want := []string{"s1", "s2", "a1", "a2"}[:2+whole]
		equal(t, "replayed", got, want)
		torn := (cut - snapshot) % (frameHeaderSize + 2)
		if damage != (Damage{Torn: torn}) {
			t.Fatalf("%d bytes: damage %+v", cut, damage)
		}
		if onDisk := folderSize(t, filepath.Join(path, "log")); l.Size() != onDisk {
			t.Errorf("size %d, on disk %d", l.Size(), onDisk)
		}
		l.Close()
		dir.Close()
		dir = mustDir(t, path, osFS{})
		l, _, damage = mustLog(t, dir, LogOptions{})
		if damage.Any() {
			t.Fatalf("%d bytes: again %+v", cut, damage)
		}
		check(t, l.Append(entries("new")))
		l.Close()
		dir.Close()
		after, _ := reread(t, path)
		equal(t, "after appending", after, append(slices.Clone(want), "new"))
	}
}

func TestLogWithFilesThatAreNotItsOwn(t *testing.T) {
	path, _ := snapshotLog(t)
	folder := filepath.Join(path, "log")
	for _, name := range []string{"README", "1.log", "00000001.log~", "x0000002.log", rewriteName, "99999999999999999999.log"} {
		check(t, os.WriteFile(filepath.Join(folder, name), []byte("foreign"), fileMode))
	}
	check(t, os.Mkdir(filepath.Join(folder, "folder"), folderMode))
	got, damage := reread(t, path)
	equal(t, "replayed", got, []string{"s1", "s2", "a1", "a2"})
	if damage.Any() {
		t.Errorf("damage %+v", damage)
	}
}

// newest is a file with the number after that of the log, of which nothing can be read.
func TestLogWhoseNewestSegmentCannotBeRead(t *testing.T) {
	for what, newest := range map[string]func(file string) error{
		"empty":   func(f string) error { return os.WriteFile(f, nil, fileMode) },
		"header":  func(f string) error { var b batch; b.reset(start(2)); return os.WriteFile(f, b.buf, fileMode) },
		"foreign": func(f string) error { return os.WriteFile(f, make([]byte, 1000), fileMode) },
		"folder":  func(f string) error { return os.Mkdir(f, folderMode) },
	} {
		t.Run(what, func(t *testing.T) {
			path, _ := snapshotLog(t)
			check(t, newest(segmentPath(path, "log", 2)))
			dir := mustDir(t, path, osFS{})
			l, got, damage := mustLog(t, dir, LogOptions{})
			equal(t, "replayed", got, []string{"s1", "s2", "a1", "a2"})
			if damage != (Damage{Segments: 1}) {
				t.Errorf("damage %+v", damage)
			}
			if err := l.Append(entries("new")); !errors.Is(err, ErrBroken) {
				t.Errorf("append: %v", err)
			}
			check(t, l.Rewrite(slices.Values(entries("state"))))
			check(t, l.Append(entries("new")))
			l.Close()
			dir.Close()
			got, _ = reread(t, path)
			equal(t, "after a rewrite", got, []string{"state", "new"})
		})
	}
}

// twoSegments leaves a log whose older segment could not be removed.
func twoSegments(t *testing.T) string {
	t.Helper()
	path := t.TempDir()
	disk := &hookFS{}
	dir := mustDir(t, path, disk)
	l, _, _ := mustLog(t, dir, LogOptions{})
	check(t, l.Append(entries("old")))
	disk.set(func(s step) error {
		if s.op == "remove" {
			return errCrashed
		}
		return nil
	})
	check(t, l.Rewrite(slices.Values(entries("s1", "s2"))))
	check(t, l.Append(entries("a1")))
	l.Close()
	dir.Close()
	return path
}

func TestOlderSegmentsDoNotMatterBehindASnapshot(t *testing.T) {
	path := twoSegments(t)
	dir := mustDir(t, path, osFS{})
	l, got, damage := mustLog(t, dir, LogOptions{})
	equal(t, "replayed", got, []string{"s1", "s2", "a1"})
	if damage.Any() {
		t.Errorf("damage %+v", damage)
	}
	if onDisk := folderSize(t, filepath.Join(path, "log")); l.Size() != onDisk {
		t.Errorf("size %d, on disk %d", l.Size(), onDisk)
	}
	check(t, l.Append(entries("a2")))
	equal(t, "files", names(t, filepath.Join(path, "log")), []string{fileName(2)})
}

// Without its marker a snapshot may have lost any part, so that the older segment counts, too.
func TestOlderSegmentsMatterWithoutAMarker(t *testing.T) {
	path := twoSegments(t)
	marker := int64(fileHeaderSize + 2*(frameHeaderSize+2))
	flip(t, segmentPath(path, "log", 2), marker*8)
	for range 2 {
		got, damage := reread(t, path)
		equal(t, "replayed", got, []string{"old", "s1", "s2", "a1"})
		if damage.Entries != 1 {
			t.Errorf("damage %+v", damage)
		}
	}
	dir := mustDir(t, path, osFS{})
	l, _, _ := mustLog(t, dir, LogOptions{})
	check(t, l.Append(entries("a2")))
	equal(t, "files", names(t, filepath.Join(path, "log")), []string{fileName(1), fileName(2)})
	check(t, l.Rewrite(slices.Values(entries("s3"))))
	equal(t, "files", names(t, filepath.Join(path, "log")), []string{fileName(3)})
}

// An older segment that ends in the middle of an entry is damaged: it was whole once.
func TestOlderSegmentThatIsTorn(t *testing.T) {
	path := twoSegments(t)
	flip(t, segmentPath(path, "log", 2), 8*(fileHeaderSize+2*(frameHeaderSize+2)))
	older := segmentPath(path, "log", 1)
	check(t, os.Truncate(older, fileHeaderSize+2*frameHeaderSize+1))
	got, damage := reread(t, path)
	equal(t, "replayed", got, []string{"s1", "s2", "a1"})
	if want := (Damage{Entries: 2, Bytes: frameHeaderSize + frameHeaderSize + 1}); damage != want {
		t.Errorf("damage %+v, want %+v", damage, want)
	}
}

// A log whose folder was not to be had at the start, and is now, has not been replayed: what it holds
// is left for the next start.
func TestWhatWasNotReplayedIsKept(t *testing.T) {
	path, _ := snapshotLog(t)
	dir := mustDir(t, path, osFS{})
	l := OpenLog(dir, "log", LogOptions{})
	failed := errors.New("no")
	if _, err := l.Replay(func([]byte) error { return failed }); !errors.Is(err, failed) {
		t.Fatalf("got %v", err)
	}
	for range 2 {
		check(t, l.Rewrite(slices.Values(entries("state"))))
	}
	check(t, l.Append(entries("new")))
	l.Close()
	dir.Close()
	got, damage := reread(t, path)
	equal(t, "replayed", got, []string{"s1", "s2", "a1", "a2", "state", "new"})
	if damage.Any() {
		t.Errorf("damage %+v", damage)
	}
}
