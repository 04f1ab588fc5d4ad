package journal

import (
	"io"
	"os"
)

// fileSystem is what is done to the disk, so that tests can stop it between any two steps, fill it or
// let it hang. Errors are those of package os.
type fileSystem interface {
	MkdirAll(path string) error
	// List names what is in a folder, sorted.
	List(path string) ([]string, error)
	Open(path string, flag int) (file, error)
	Rename(from, to string) error
	Remove(path string) error
	// SyncDir makes what was created, renamed and removed in a folder survive a crash of the machine.
	SyncDir(path string) error
}

// file is an open file. Writing is at offsets that the caller knows, so that a torn write is written
// over by the next, and no other handle's position matters.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	// Datasync makes the content survive a crash of the machine.
	Datasync() error
}

const (
	folderMode = 0o750
	fileMode   = 0o640
)

// osFS is the disk itself.
type osFS struct{}

func (osFS) MkdirAll(path string) error { return os.MkdirAll(path, folderMode) }

func (osFS) List(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

func (osFS) Open(path string, flag int) (file, error) {
	f, err := os.OpenFile(path, flag, fileMode)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }

func (osFS) Remove(path string) error { return os.Remove(path) }

func (osFS) SyncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

type osFile struct{ *os.File }

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
