package store

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

var errFenced = errors.New("store: the database was given up")

// diskFS is the file system of one database. It sets modes, skips syncs of the write-ahead log unless they are
// asked for, calls Options.Faults, and can be fenced: then no operation reaches the disk any more, so that a
// database that was given up cannot disturb its successor.
type diskFS struct {
	vfs.FS
	syncLog bool
	faults  func(op, path string) error

	fenced atomic.Bool
	// active counts operations under way.
	active atomic.Int64
	// troubled is set once an operation failed for another reason than a file that does not exist.
	troubled atomic.Bool
}

func (d *diskFS) do(op, path string, f func() error) error {
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
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
		d.troubled.Store(true)
	}
	return err
}

func isLog(path string) bool { return strings.HasSuffix(path, ".log") }

func (d *diskFS) file(op, path string, open func() (vfs.File, error)) (vfs.File, error) {
	var file vfs.File
	err := d.do(op, path, func() (err error) {
		if file, err = open(); err != nil {
			return err
		}
		if op != "open" {
			if err = syscall.Fchmod(int(file.Fd()), fileMode); err != nil {
				file.Close()
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &diskFile{file, d, path, isLog(path)}, nil
}

func (d *diskFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file("create", name, func() (vfs.File, error) { return d.FS.Create(name, c) })
}

func (d *diskFS) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.file("open", name, func() (vfs.File, error) { return d.FS.Open(name, opts...) })
}

func (d *diskFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.file("create", name, func() (vfs.File, error) { return d.FS.OpenReadWrite(name, c, opts...) })
}

func (d *diskFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.file("create", to, func() (vfs.File, error) { return d.FS.ReuseForWrite(from, to, c) })
}

func (d *diskFS) OpenDir(name string) (vfs.File, error) {
	var file vfs.File
	err := d.do("open", name, func() (err error) { file, err = d.FS.OpenDir(name); return err })
	if err != nil {
		return nil, err
	}
	// The directory of the log is synced when a log is created; without that, a power cut costs the log.
	return &diskFile{file, d, name, filepath.Base(name) == logDir}, nil
}

func (d *diskFS) Link(from, to string) error {
	return d.do("link", to, func() error { return d.FS.Link(from, to) })
}

func (d *diskFS) Remove(name string) error {
	return d.do("remove", name, func() error { return d.FS.Remove(name) })
}

func (d *diskFS) RemoveAll(name string) error {
	return d.do("remove", name, func() error { return d.FS.RemoveAll(name) })
}

func (d *diskFS) Rename(from, to string) error {
	return d.do("rename", to, func() error { return d.FS.Rename(from, to) })
}

func (d *diskFS) MkdirAll(dir string, _ os.FileMode) error {
	return d.do("mkdir", dir, func() error { return makeDir(dir) })
}

// Lock does nothing: the Store holds a lock of its own, which outlives the database.
func (d *diskFS) Lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

func (d *diskFS) List(dir string) (names []string, err error) {
	err = d.do("list", dir, func() error { names, err = d.FS.List(dir); return err })
	return names, err
}

func (d *diskFS) Stat(name string) (info vfs.FileInfo, err error) {
	err = d.do("stat", name, func() error { info, err = d.FS.Stat(name); return err })
	return info, err
}

func (d *diskFS) GetDiskUsage(path string) (u vfs.DiskUsage, err error) {
	err = d.do("stat", path, func() error { u, err = d.FS.GetDiskUsage(path); return err })
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
	err = f.fs.do("read", f.path, func() error { n, err = f.File.Read(p); return err })
	return n, err
}

func (f *diskFile) ReadAt(p []byte, off int64) (n int, err error) {
	err = f.fs.do("read", f.path, func() error { n, err = f.File.ReadAt(p, off); return err })
	return n, err
}

func (f *diskFile) Write(p []byte) (n int, err error) {
	err = f.fs.do("write", f.path, func() error { n, err = f.File.Write(p); return err })
	return n, err
}

func (f *diskFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.fs.do("write", f.path, func() error { n, err = f.File.WriteAt(p, off); return err })
	return n, err
}

func (f *diskFile) Preallocate(offset, length int64) error { return nil }

func (f *diskFile) Sync() error {
	if f.unsynced() {
		return nil
	}
	return f.fs.do("sync", f.path, f.File.Sync)
}

func (f *diskFile) SyncData() error {
	if f.unsynced() {
		return nil
	}
	return f.fs.do("sync", f.path, f.File.SyncData)
}

func (f *diskFile) SyncTo(n int64) (full bool, err error) {
	if f.unsynced() {
		return false, nil
	}
	err = f.fs.do("sync", f.path, func() error { full, err = f.File.SyncTo(n); return err })
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
