package journal

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestLogReplaysWhatWasAppended(t *testing.T) {
	for _, sync := range []bool{false, true} {
		path := t.TempDir()
		texts := numbered(1, 30)
		var want []string
		for begin := 0; begin < 30; begin += 10 {
			dir := mustDir(t, path, osFS{})
			l, got, damage := mustLog(t, dir, LogOptions{Sync: sync})
			equal(t, "replayed", got, want)
			if damage.Any() {
				t.Errorf("damage %+v", damage)
			}
			check(t, l.Append(entries(texts[begin:begin+3]...)))
			check(t, l.Append(nil))
			check(t, l.Append(entries(texts[begin+3:begin+10]...)))
			want = texts[:begin+10]
			if onDisk := folderSize(t, filepath.Join(path, "log")); l.Size() != onDisk {
				t.Errorf("size %d, on disk %d", l.Size(), onDisk)
			}
			check(t, l.Close())
			check(t, dir.Close())
		}
		equal(t, "files", names(t, filepath.Join(path, "log")), []string{fileName(1)})
	}
}

func TestRewriteReplacesEverything(t *testing.T) {
	path := t.TempDir()
	dir := mustDir(t, path, osFS{})
	l, _, _ := mustLog(t, dir, LogOptions{Sync: true})
	check(t, l.Append(entries(numbered(1, 100)...)))
	// Of several steps: the largest is more than one.
	state := []string{"a", string(make([]byte, rewriteStep*3/2)), "b", string(make([]byte, rewriteStep)), "c"}
	check(t, l.Rewrite(slices.Values(entries(state...))))
	check(t, l.Append(entries("d")))
	equal(t, "files", names(t, filepath.Join(path, "log")), []string{fileName(2)})
	if onDisk := folderSize(t, filepath.Join(path, "log")); l.Size() != onDisk {
		t.Errorf("size %d, on disk %d", l.Size(), onDisk)
	}
	check(t, l.Close())
	check(t, dir.Close())
	got, damage := reread(t, path)
	equal(t, "replayed", got, append(state, "d"))
	if damage.Any() {
		t.Errorf("damage %+v", damage)
	}
}

func TestLogTakesTheCallersMemoryOnlyDuringACall(t *testing.T) {
	path := t.TempDir()
	dir := mustDir(t, path, osFS{})
	l, _, _ := mustLog(t, dir, LogOptions{})
	memory := []byte("first")
	check(t, l.Append([][]byte{memory}))
	copy(memory, "other")
	check(t, l.Rewrite(func(yield func([]byte) bool) {
		for _, s := range []string{"one..", "two..", "three"} {
			copy(memory, s)
			if !yield(memory) {
				return
			}
		}
	}))
	l.Close()
	dir.Close()
	got, _ := reread(t, path)
	equal(t, "replayed", got, []string{"one..", "two..", "three"})
}

func TestAppendWithoutReplayIsBroken(t *testing.T) {
	dir := mustDir(t, t.TempDir(), osFS{})
	l := OpenLog(dir, "log", LogOptions{})
	defer l.Close()
	if err := l.Append(entries("a")); !errors.Is(err, ErrBroken) {
		t.Errorf("got %v", err)
	}
}

func TestEntryThatIsTooLargeBreaksNothing(t *testing.T) {
	path := t.TempDir()
	dir := mustDir(t, path, osFS{})
	l, _, _ := mustLog(t, dir, LogOptions{})
	large := make([]byte, MaxEntry+1)
	check(t, l.Append(entries("a")))
	if err := l.Append([][]byte{[]byte("x"), large}); err == nil {
		t.Error("appended")
	}
	if err := l.Rewrite(slices.Values([][]byte{[]byte("x"), large})); err == nil {
		t.Error("rewritten")
	}
	check(t, l.Append([][]byte{large[:MaxEntry]}))
	check(t, l.Append(entries("b")))
	l.Close()
	dir.Close()
	got, damage := reread(t, path)
	equal(t, "replayed", got, []string{"a", string(large[:MaxEntry]), "b"})
	if damage.Any() {
		t.Errorf("damage %+v", damage)
	}
}

// Once an Append has failed, the disk is left alone until a Rewrite.
func TestLogIsBrokenUntilRewritten(t *testing.T) {
	path := t.TempDir()
	disk := &hookFS{}
	dir := mustDir(t, path, disk)
	l, _, _ := mustLog(t, dir, LogOptions{})
	check(t, l.Append(entries("a")))
	full := errors.New("full")
	steps := 0
	disk.set(func(step) error { steps++; return full })
	if err := l.Append(entries("b")); !errors.Is(err, full) || errors.Is(err, ErrBroken) {
		t.Errorf("first: %v", err)
	}
	steps = 0
	for range 3 {
		if err := l.Append(entries("b")); !errors.Is(err, ErrBroken) {
			t.Errorf("after: %v", err)
		}
	}
	if steps != 0 {
		t.Errorf("%d steps", steps)
	}
	if err := l.Rewrite(slices.Values(entries("a", "b"))); !errors.Is(err, full) {
		t.Errorf("rewrite: %v", err)
	}
	if err := l.Append(entries("c")); !errors.Is(err, ErrBroken) {
		t.Errorf("after a rewrite that failed: %v", err)
	}
	disk.set(nil)
	check(t, l.Rewrite(slices.Values(entries("a", "b"))))
	check(t, l.Append(entries("c")))
	l.Close()
	dir.Close()
	got, _ := reread(t, path)
	equal(t, "replayed", got, []string{"a", "b", "c"})
}

// A Rewrite that fails before anything is in place leaves a log that works.
func TestFailedRewriteLeavesTheLogAsItWas(t *testing.T) {
	path := t.TempDir()
	disk := &hookFS{}
	dir := mustDir(t, path, disk)
	l, _, _ := mustLog(t, dir, LogOptions{Sync: true})
	check(t, l.Append(entries("a")))
	full := errors.New("full")
	for _, op := range []string{"create", "write", "sync"} {
		disk.set(func(s step) error {
			if s.op == op && s.path == rewriteName {
				return full
			}
			return nil
		})
		if err := l.Rewrite(slices.Values(entries("x"))); !errors.Is(err, full) {
			t.Errorf("%s: %v", op, err)
		}
		disk.set(nil)
		check(t, l.Append(entries(op)))
	}
	equal(t, "files", names(t, filepath.Join(path, "log")), []string{fileName(1)})
	l.Close()
	dir.Close()
	got, _ := reread(t, path)
	equal(t, "replayed", got, []string{"a", "create", "write", "sync"})
}

// When the rename may have happened there is no telling which segment a replay would begin with.
func TestRewriteInDoubtBreaksTheLog(t *testing.T) {
	disk := &hookFS{}
	dir := mustDir(t, t.TempDir(), disk)
	l, _, _ := mustLog(t, dir, LogOptions{Sync: true})
	check(t, l.Append(entries("a")))
	for _, op := range []string{"rename", "syncdir"} {
		disk.set(func(s step) error {
			if s.op == op {
				return errCrashed
			}
			return nil
		})
		if err := l.Rewrite(slices.Values(entries("x"))); !errors.Is(err, errCrashed) {
			t.Errorf("%s: %v", op, err)
		}
		disk.set(nil)
		if err := l.Append(entries("b")); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: %v", op, err)
		}
		check(t, l.Rewrite(slices.Values(entries("x"))))
		check(t, l.Append(entries("b")))
	}
}

func TestLogThatCannotRemoveTriesAgain(t *testing.T) {
	path := t.TempDir()
	disk := &hookFS{}
	dir := mustDir(t, path, disk)
	l, _, _ := mustLog(t, dir, LogOptions{})
	disk.set(func(s step) error {
		if s.op == "remove" {
			return errors.New("not now")
		}
		return nil
	})
	for range 3 {
		check(t, l.Append(entries("a")))
		check(t, l.Rewrite(slices.Values(entries("b"))))
	}
	if onDisk := folderSize(t, filepath.Join(path, "log")); l.Size() != onDisk {
		t.Errorf("size %d, on disk %d", l.Size(), onDisk)
	}
	disk.set(nil)
	check(t, l.Append(entries("c")))
	equal(t, "files", names(t, filepath.Join(path, "log")), []string{fileName(4)})
	if onDisk := folderSize(t, filepath.Join(path, "log")); l.Size() != onDisk {
		t.Errorf("size %d, on disk %d", l.Size(), onDisk)
	}
}

func TestClosedLog(t *testing.T) {
	dir := mustDir(t, t.TempDir(), osFS{})
	l, _, _ := mustLog(t, dir, LogOptions{})
	check(t, l.Close())
	_, replayed := l.Replay(func([]byte) error { return nil })
	for what, err := range map[string]error{
		"append": l.Append(entries("a")), "rewrite": l.Rewrite(slices.Values(entries("a"))),
		"replay": replayed, "close": l.Close(),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func folderSize(t testing.TB, path string) int64 {
	t.Helper()
	var size int64
	for _, name := range names(t, path) {
		info, err := os.Stat(filepath.Join(path, name))
		check(t, err)
		size += info.Size()
	}
	return size
}

func BenchmarkLogAppend(b *testing.B) {
	dir := mustDir(b, b.TempDir(), osFS{})
	l, _, _ := mustLog(b, dir, LogOptions{})
	batch := [][]byte{make([]byte, 700)}
	b.ReportAllocs()
	for b.Loop() {
		check(b, l.Append(batch))
		if l.Size() > 64<<20 {
			check(b, l.Rewrite(slices.Values(batch)))
		}
	}
}
