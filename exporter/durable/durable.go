// Package durable writes the small private files that the exporter generates once and keeps in its storage
// directory: secrets and keys.
package durable

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
)

const (
	fileMode = 0o600
	dirMode  = 0o700
)

// WriteFile writes a file that only its owner can read, whatever the umask says. It creates missing directories with
// mode 0700. After a crash or a power cut the file is complete, or as it was before. Once WriteFile has returned nil, it
// is complete. A file that exists is replaced.
func WriteFile(path, content string) error { return writeFile(disk{}, path, content) }

// IsMissing reports whether reading a file failed because there is none yet.
func IsMissing(err error) bool {
	// ENOTDIR: what should be a directory is a file, and can hold no other.
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func writeFile(d filesystem, path, content string) error {
	dir := filepath.Dir(path)
	if err := makeDir(d, dir); err != nil {
		return err
	}
	// A file of this name is what a crash has left.
	temporary := path + ".tmp"
	err := writeSynced(d, temporary, content)
	if err == nil {
		err = d.Rename(temporary, path)
	}
	if err != nil {
		_ = d.Remove(temporary) // the next call removes it
		return err
	}
	return d.SyncDir(dir)
}

// makeDir creates a directory and those above it, unless they exist, and returns once their names are on the disk.
func makeDir(d filesystem, dir string) error {
	if exists, err := d.Exists(dir); exists || err != nil {
		return err
	}
	parent := filepath.Dir(dir)
	if err := makeDir(d, parent); err != nil {
		return err
	}
	if err := d.Mkdir(dir, dirMode); err != nil {
		return err
	}
	err := d.Chmod(dir, dirMode)
	if err == nil {
		err = d.SyncDir(parent)
	}
	if err != nil {
		_ = d.Remove(dir) // so that the next call does all of it
	}
	return err
}

// writeSynced replaces the content of a file, and returns once it is on the disk.
func writeSynced(d filesystem, path, content string) error {
	if err := d.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := d.Create(path, fileMode)
	if err != nil {
		return err
	}
	if err := f.Chmod(fileMode); err != nil {
		return errors.Join(err, f.Close())
	}
	if _, err := f.WriteString(content); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	return f.Close()
}
