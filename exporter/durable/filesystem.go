package durable

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// filesystem has the operations of WriteFile. Tests let each of them fail, and cut the power at each.
type filesystem interface {
	Exists(path string) (bool, error)
	Mkdir(path string, mode fs.FileMode) error
	Chmod(path string, mode fs.FileMode) error
	Remove(path string) error
	Rename(from, to string) error
	// Create opens a new file for writing. It fails if the file exists.
	Create(path string, mode fs.FileMode) (file, error)
	// SyncDir returns once the names in a directory are on the disk.
	SyncDir(path string) error
}

type file interface {
	Chmod(mode fs.FileMode) error
	WriteString(s string) (n int, err error)
	Sync() error
	Close() error
}

// disk is the filesystem of the operating system.
type disk struct{}

func (disk) Exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (disk) Mkdir(path string, mode fs.FileMode) error { return os.Mkdir(path, mode) }
func (disk) Chmod(path string, mode fs.FileMode) error { return os.Chmod(path, mode) }
func (disk) Remove(path string) error                  { return os.Remove(path) }
func (disk) Rename(from, to string) error              { return os.Rename(from, to) }

func (disk) Create(path string, mode fs.FileMode) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
}

// SyncDir returns nil where a directory cannot be synced, as on some file systems: there a rename is as durable as it
// gets.
func (disk) SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
