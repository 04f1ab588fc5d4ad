package store

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

var errFenced = errors.New("store: the database was given up")

// diskFS is the file system of one database. It sets modes, skips syncs of the write-ahead log unless they are
// asked for, and calls Options.Faults.
//
// It can be fenced: then no operation reaches the disk any more, so that a database that was given up cannot
// disturb its successor. Pebble must not see a failed write: some end in Logger.Fatalf, and one in rotateWAL ends the
// process ("unlock of unlocked mutex"), which no recover prevents. So the first change that fails is reported to
// failed, which fences the file system, and from then on every change seems to succeed. The database is then as
// good as one in memory, until it is closed. Reads fail.
type diskFS struct {
	vfs.FS
	syncLog bool
	faults  func(op, path string) error
	failed  func(error) // nil: errors of changes are returned

	fenced atomic.Bool
	// active counts operations under way.
	active atomic.Int64
	// troubled is set once an operation failed for another reason than a file that does not exist.
	troubled atomic.Bool
}

// read does what changes nothing.
func (d *diskFS) read(op, path string, f func() error) error {
	d.active.Add(1)
	defer d.active.Add(-1)
	if d.fenced.Load() {
		return errFenced
	}
	if d.faults != nil {
		if err := d.faults(op, path); err != nil {
			d.troubled.Store(true)
			return err
		}
		if d.fenced.Load() {
			return errFenced
		}
	}
	err := f()
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, io.EOF) {
		d.troubled.Store(true)
	}
	return err
}

// change does what changes something on disk. Its only error is errFenced, which the caller hides from pebble.
func (d *diskFS) change(op, path string, f func() error) error {
	err := d.read(op, path, f)
	if err == nil || d.failed == nil {
		return err
	}
	if !errors.Is(err, errFenced) {
		d.failed(fmt.Errorf("%s: %w", op, err))
	}
	return errFenced
}

// remove is change, but a file that does not exist is no failure: pebble removes files that may be gone.
func (d *diskFS) remove(path string, f func() error) error {
	missing := false
	err := d.change("remove", path, func() error {
		err := f()
		if missing = errors.Is(err, os.ErrNotExist); missing {
			return nil
		}
		return err
	})
	if missing && err == nil {
		return &os.PathError{Op: "remove", Path: path, Err: os.ErrNotExist}
	}
	return err
}

// hidden hides errFenced from pebble.
func (d *diskFS) hidden(err error) error {
	if d.failed != nil && errors.Is(err, errFenced) {
		return nil
	}
	return err
}

func isLog(path string) bool { return strings.HasSuffix(path, ".log") }

func (d *diskFS) create(path string, open func() (vfs.File, error)) (vfs.File, error) {
	var file vfs.File
	err := d.change("create", path, func() (err error) {
		if file, err = open(); err != nil {
			return err
		}
		if err = syscall.Fchmod(int(file.Fd()), fileMode); err != nil {
			file.Close()
		}
		return err
	})
	if err != nil {
		if d.hidden(err) == nil {
			return nullFile{}, nil
		}
		return nil, err
	}
	return &diskFile{file, d, path, isLog(path)}, nil
}

func (d *diskFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.create(name, func() (vfs.File, error) { return d.FS.Create(name, c) })
}

func (d *diskFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	var file vfs.File
	err := d.read("open", name, func() (err error) { file, err = d.FS.Open(name, opts...); return err })
	if err != nil {
		return nil, err
	}
	return &diskFile{file, d, name, isLog(name)}, nil
}

func (d *diskFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.create(name, func() (vfs.File, error) { return d.FS.OpenReadWrite(name, c, opts...) })
}

func (d *diskFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.create(to, func() (vfs.File, error) { return d.FS.ReuseForWrite(from, to, c) })
}

func (d *diskFS) OpenDir(name string) (vfs.File, error) {
	var file vfs.File
	err := d.read("open", name, func() (err error) { file, err = d.FS.OpenDir(name); return err })
	if err != nil {
		if d.hidden(err) == nil {
			return nullFile{}, nil
		}
		return nil, err
	}
	// The directory of the log is synced when a log is created; without that, a power cut costs the log.
	return &diskFile{file, d, name, filepath.Base(name) == logDir}, nil
}

func (d *diskFS) Link(from, to string) error {
	return d.hidden(d.change("link", to, func() error { return d.FS.Link(from, to) }))
}

func (d *diskFS) Remove(name string) error {
	return d.hidden(d.remove(name, func() error { return d.FS.Remove(name) }))
}

func (d *diskFS) RemoveAll(name string) error {
	return d.hidden(d.remove(name, func() error { return d.FS.RemoveAll(name) }))
}

func (d *diskFS) Rename(from, to string) error {
	return d.hidden(d.change("rename", to, func() error { return d.FS.Rename(from, to) }))
}

func (d *diskFS) MkdirAll(dir string, _ os.FileMode) error {
	return d.hidden(d.change("mkdir", dir, func() error { return makeDir(dir) }))
}

// Lock does nothing: the Store holds a lock of its own, which outlives the database.
func (d *diskFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

func (d *diskFS) List(dir string) (names []string, err error) {
	err = d.read("list", dir, func() error { names, err = d.FS.List(dir); return err })
	return names, err
}

func (d *diskFS) Stat(name string) (info vfs.FileInfo, err error) {
	err = d.read("stat", name, func() error { info, err = d.FS.Stat(name); return err })
	return info, err
}

func (d *diskFS) GetDiskUsage(path string) (u vfs.DiskUsage, err error) {
	err = d.read("stat", path, func() error { u, err = d.FS.GetDiskUsage(path); return err })
	return u, err
}

func (d *diskFS) Unwrap() vfs.FS { return d.FS }

type diskFile struct {
	vfs.File
	fs   *diskFS
	path string
	log  bool
}

// unsynced says that the file need not survive a power cut.
func (f *diskFile) unsynced() bool { return f.log && !f.fs.syncLog }

func (f *diskFile) Read(p []byte) (n int, err error) {
	err = f.fs.read("read", f.path, func() error { n, err = f.File.Read(p); return err })
	return n, err
}

func (f *diskFile) ReadAt(p []byte, off int64) (n int, err error) {
	f.yield()
	err = f.fs.read("read", f.path, func() error { n, err = f.File.ReadAt(p, off); return err })
	return n, err
}

// yield lets other goroutines run before an operation on a table. Flushes and compactions would otherwise use a
// processor for 10 ms at a time, the time slice of Go's scheduler, and both processors of a small machine while they
// overlap. Events wait for the log only, which does not yield.
func (f *diskFile) yield() {
	if !f.log {
		runtime.Gosched()
	}
}

func (f *diskFile) Write(p []byte) (n int, err error) {
	f.yield()
	err = f.fs.hidden(f.fs.change("write", f.path, func() error { n, err = f.File.Write(p); return err }))
	if err == nil {
		n = len(p)
	}
	return n, err
}

func (f *diskFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.fs.hidden(f.fs.change("write", f.path, func() error { n, err = f.File.WriteAt(p, off); return err }))
	if err == nil {
		n = len(p)
	}
	return n, err
}

func (f *diskFile) Preallocate(offset, length int64) error { return nil }

func (f *diskFile) Sync() error {
	if f.unsynced() {
		return nil
	}
	return f.fs.hidden(f.fs.change("sync", f.path, f.File.Sync))
}

func (f *diskFile) SyncData() error {
	if f.unsynced() {
		return nil
	}
	return f.fs.hidden(f.fs.change("sync", f.path, f.File.SyncData))
}

func (f *diskFile) SyncTo(n int64) (full bool, err error) {
	if f.unsynced() {
		return false, nil
	}
	err = f.fs.hidden(f.fs.change("sync", f.path, func() error { full, err = f.File.SyncTo(n); return err }))
	return full, err
}

// Close closes the file even if the file system is fenced, so that no descriptor leaks.
func (f *diskFile) Close() error { return f.File.Close() }

// makeDir creates a directory and its missing parents, with dirMode whatever the umask.
func makeDir(path string) error {
	if info, err := os.Stat(path); err == nil {
		if !info.IsDir() {
			return &os.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
		}
		return nil
	}
	if parent := filepath.Dir(path); parent != path {
		if err := makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, dirMode); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return os.Chmod(path, dirMode)
}

// nullFile is what a fenced file system creates.
type nullFile struct{}

func (nullFile) Close() error                           { return nil }
func (nullFile) Read([]byte) (int, error)               { return 0, errFenced }
func (nullFile) ReadAt([]byte, int64) (int, error)      { return 0, errFenced }
func (nullFile) Write(p []byte) (int, error)            { return len(p), nil }
func (nullFile) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }
func (nullFile) Preallocate(int64, int64) error         { return nil }
func (nullFile) Stat() (vfs.FileInfo, error)            { return nullInfo{}, nil }
func (nullFile) Sync() error                            { return nil }
func (nullFile) SyncTo(int64) (bool, error)             { return true, nil }
func (nullFile) SyncData() error                        { return nil }
func (nullFile) Prefetch(int64, int64) error            { return nil }
func (nullFile) Fd() uintptr                            { return vfs.InvalidFd }

type nullInfo struct{}

func (nullInfo) Name() string           { return "" }
func (nullInfo) Size() int64            { return 0 }
func (nullInfo) Mode() os.FileMode      { return fileMode }
func (nullInfo) ModTime() time.Time     { return time.Time{} }
func (nullInfo) IsDir() bool            { return false }
func (nullInfo) Sys() any               { return nil }
func (nullInfo) DeviceID() vfs.DeviceID { return vfs.DeviceID{} }
