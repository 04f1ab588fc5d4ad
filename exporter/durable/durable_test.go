package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

const (
	name   = "/storage/exporter/secret"
	before = "what was there before"
	after  = "what is written"
)

// beginnings are what a model has before the file is written.
var beginnings = map[string]map[string]string{
	"no directory":      {"/": ""},
	"an empty one":      {"/": "", "/storage/": "", "/storage/exporter/": ""},
	"an older file":     {"/": "", "/storage/": "", "/storage/exporter/": "", name: before},
	"rest of a crash":   {"/": "", "/storage/": "", "/storage/exporter/": "", name + ".tmp": "half"},
	"both of the above": {"/": "", "/storage/": "", "/storage/exporter/": "", name: before, name + ".tmp": "half"},
}

// eachOperation runs a test for each operation of WriteFile, from each beginning. The operation with the number fails.
func eachOperation(t *testing.T, test func(t *testing.T, m *model, n int)) {
	for beginning, files := range beginnings {
		undisturbed := newModel(files)
		if err := writeFile(undisturbed, name, after); err != nil {
			t.Fatal(err)
		}
		if least := 8; len(undisturbed.operations) < least {
			t.Fatalf("%d operations, want %d at least", len(undisturbed.operations), least)
		}
		for i, operation := range undisturbed.operations {
			t.Run(fmt.Sprintf("%s/%d %s", beginning, i+1, operation), func(t *testing.T) { test(t, newModel(files), i+1) })
		}
	}
}

// isWhole reports whether the file is complete, or as it was before.
func isWhole(m *model, files map[string]*inode) bool {
	i, ok := m.names[name]
	if old, was := files[name]; !ok {
		return !was
	} else if was && i.content == old.content {
		return true
	}
	return i.content == after && i.mode == fileMode
}

// A failed operation is reported, leaves nothing half written, and does not keep the next call from success.
func TestEachOperationFails(t *testing.T) {
	eachOperation(t, func(t *testing.T, m *model, n int) {
		old := newModelOf(m)
		m.fails = n
		if err := writeFile(m, name, after); !errors.Is(err, syscall.EIO) {
			t.Errorf("error is %v, want %v", err, syscall.EIO)
		}
		if !isWhole(m, old) {
			t.Errorf("the file is %+v", m.names[name])
		}
		m.fails = 0
		if err := writeFile(m, name, after); err != nil {
			t.Errorf("the next call: %v", err)
		}
		checkDurable(t, m)
	})
}

// newModelOf returns the names of a model as they are now.
func newModelOf(m *model) map[string]*inode { return m.powerCut(true).names }

// When the power is cut, the file is complete or as it was before, and the next start can write it.
func TestPowerCutAtEachOperation(t *testing.T) {
	eachOperation(t, func(t *testing.T, m *model, n int) {
		old := newModelOf(m)
		m.fails, m.off = n, true
		if err := writeFile(m, name, after); err == nil {
			t.Fatal("the power was not cut")
		}
		for _, names := range []bool{false, true} {
			left := m.powerCut(names)
			if !isWhole(left, old) {
				t.Errorf("the file is %+v", left.names[name])
			}
			if err := writeFile(left, name, after); err != nil {
				t.Errorf("the next start: %v", err)
			}
			checkDurable(t, left)
		}
	})
}

// checkDurable expects the file to survive a power cut, and to be private.
func checkDurable(t *testing.T, m *model) {
	t.Helper()
	for _, names := range []bool{false, true} {
		left := m.powerCut(names)
		if i := left.names[name]; i == nil || i.content != after || i.mode != fileMode {
			t.Errorf("after a power cut the file is %+v", i)
		}
	}
	if m.names[name+".tmp"] != nil {
		t.Error("the temporary file is left")
	}
}

// WriteFile on a real disk, whatever the umask says.
func TestModes(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o777} {
		dir := t.TempDir()
		path := filepath.Join(dir, "a", "b", "secret")
		restore := syscall.Umask(umask)
		err := WriteFile(path, after)
		syscall.Umask(restore)
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700, filepath.Join(dir, "a"): 0o700} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
				t.Errorf("umask %03o: %s has mode %v, %v, want %v", umask, path, info.Mode(), err, want)
			}
		}
	}
}

// A file that others could read is replaced by one that they cannot, and its directory stays as it is.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "secret")
	if err := os.WriteFile(path, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	opened, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if err := WriteFile(path, after); err != nil {
		t.Fatal(err)
	}
	checkFile(t, path, after)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the directory has mode %v, %v", info.Mode(), err)
	}
	read := make([]byte, 100)
	if n, err := opened.Read(read); err != nil || string(read[:n]) != before {
		t.Errorf("who had it open reads %q, %v", read[:n], err)
	}
}

// A link in place of the temporary file leads nowhere.
func TestTemporaryFileIsALink(t *testing.T) {
	dir := t.TempDir()
	path, target := filepath.Join(dir, "secret"), filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path+".tmp"); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, after); err != nil {
		t.Fatal(err)
	}
	checkFile(t, path, after)
	checkFile(t, target, before)
}

func TestNoDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(before), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(file, "secret"), after); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("error is %v, want %v", err, syscall.ENOTDIR)
	}
	checkFile(t, file, before)
}

func checkFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v, want %q", path, got, err, want)
	}
}

func TestIsMissing(t *testing.T) {
	dir := t.TempDir()
	file, loop := filepath.Join(dir, "file"), filepath.Join(dir, "loop")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Symlink(loop, loop)); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		filepath.Join(dir, "none"): true, filepath.Join(dir, "none", "none"): true, filepath.Join(file, "none"): true,
		file: false, dir: false, loop: false,
	} {
		if _, err := os.ReadFile(path); IsMissing(err) != want {
			t.Errorf("%v: missing is %v, want %v", err, !want, want)
		}
	}
}
