package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

var (
	// ErrLocked is returned if another process, or another Store of this process, uses the directory.
	ErrLocked = errors.New("in use by another process")
	// ErrNewerFormat is returned if a newer version of the exporter wrote the store. Nothing was changed.
	ErrNewerFormat = errors.New("written by a newer version")
	// ErrNotStore is returned if the directory has other content. Nothing was changed.
	ErrNotStore = errors.New("not a store")
)

const (
	storeDir   = "store"
	logDir     = "wal"
	lockFile   = "store.lock"
	damagedDir = "store.damaged"
	salvageDir = "store.salvage" // a repaired store until it is complete
	formatFile = "FORMAT"
	formatLine = "smithproxy_exporter store %d\n"
	format     = 1
)

// lock takes hold of the directory. The lock belongs to the open file: it goes with the process.
func lock(path string) (*os.File, error) {
	name := filepath.Join(path, lockFile)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, fileMode)
	if errors.Is(err, syscall.EROFS) || errors.Is(err, os.ErrPermission) {
		f, err = os.Open(name)
	}
	if err != nil {
		return nil, err
	}
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		f.Close()
		return nil, fmt.Errorf("store %s: %w", path, ErrLocked)
	case err != nil:
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	f.Chmod(fileMode)
	return f, nil
}

// isLock reports whether a lock is that of the directory as it is now.
func isLock(f *os.File, path string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(filepath.Join(path, lockFile))
	return err == nil && os.SameFile(held, now)
}

// checkFormat tells whether dir is a store that this version reads. A directory that is missing or empty is
// none yet, without error.
func checkFormat(dir string) (exists bool, err error) {
	text, err := os.ReadFile(filepath.Join(dir, formatFile))
	if errors.Is(err, os.ErrNotExist) {
		entries, err := os.ReadDir(dir)
		if errors.Is(err, os.ErrNotExist) {
			return false, nil
		}
		if errors.Is(err, syscall.ENOTDIR) {
			return false, fmt.Errorf("%s: %w", dir, ErrNotStore)
		}
		if err != nil {
			return false, err
		}
		for _, e := range entries {
			if e.Name() != formatFile+".tmp" {
				return false, fmt.Errorf("%s: %w: it holds %s but no %s", dir, ErrNotStore, e.Name(), formatFile)
			}
		}
		return false, nil
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return false, fmt.Errorf("%s: %w", dir, ErrNotStore)
	}
	if err != nil {
		return false, err
	}
	version := 0
	if _, err := fmt.Sscanf(string(text), formatLine, &version); err != nil || version < 1 {
		return false, fmt.Errorf("%s: %w: unknown content of %s", dir, ErrNotStore, formatFile)
	}
	if version > format {
		return false, fmt.Errorf("%s: %w: format %d, this version reads up to %d", dir, ErrNewerFormat, version, format)
	}
	return true, nil
}

// writeFormat marks dir as a store.
func writeFormat(fs *diskFS, dir string) error {
	if err := fs.MkdirAll(dir, dirMode); err != nil {
		return err
	}
	name := filepath.Join(dir, formatFile)
	if err := writeSynced(fs, name+".tmp", fmt.Appendf(nil, formatLine, format)); err != nil {
		return err
	}
	if err := fs.Rename(name+".tmp", name); err != nil {
		return err
	}
	if err := syncDir(fs, dir); err != nil {
		return err
	}
	return syncDir(fs, filepath.Dir(dir))
}

func writeSynced(fs *diskFS, name string, data []byte) error {
	f, err := fs.Create(name, "store")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(fs *diskFS, name string) error {
	d, err := fs.OpenDir(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
