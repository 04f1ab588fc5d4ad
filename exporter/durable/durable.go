// Package durable writes the small private files that the exporter generates once and keeps in its storage
// directory: secrets and keys.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// WriteFile writes a file that only its owner can read, whatever the umask says. It creates the directory of the
// file if that does not exist, with mode 0700. After a crash or a power cut the file is complete or does not exist.
// A file that exists is replaced.
func WriteFile(path, content string) error {
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			return err
		}
	}
	// A file of this name is what a crash has left.
	temporary := path + ".tmp"
	if err := writeSynced(temporary, content); err != nil {
		_ = os.Remove(temporary)
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		_ = os.Remove(temporary)
		return err
	}
	return syncDir(dir)
}

// IsMissing reports whether reading a file failed because there is none yet.
func IsMissing(err error) bool {
	// ENOTDIR: what should be a directory is a file, and can hold no other.
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// writeSynced replaces the content of a file, and returns once it is on the disk.
func writeSynced(path, content string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := file.Chmod(0o600); err != nil {
		return err
	}
	if _, err := file.WriteString(content); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return file.Close()
}

// syncDir returns once the names in a directory are on the disk. Some file systems cannot sync a directory; there
// the rename is as durable as it gets.
func syncDir(path string) error {
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
