package journal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// Dir is the folder of all that is kept, held by one process at a time. It is safe for use by many
// goroutines.
type Dir struct {
	path string
	disk fileSystem

	// mu is held while the folder is being taken hold of, which a disk that hangs can draw out.
	mu     sync.Mutex
	lock   *os.File
	closed bool
}

// OpenDir creates the folder if it is missing, and takes hold of it. It fails only with ErrLocked, when
// another process, or another Dir of this one, holds it. Any other fault (the folder cannot be written,
// a parent is a file, the disk is full) is no reason not to start: it is tried again by whatever next
// wants to read or create a file, and is an error of that.
func OpenDir(path string) (*Dir, error) { return openDir(path, osFS{}) }

func openDir(path string, disk fileSystem) (*Dir, error) {
	d := &Dir{path: filepath.Clean(path), disk: disk}
	if err := d.ready(); errors.Is(err, ErrLocked) {
		return nil, err
	}
	return d, nil
}

// ready takes hold of the folder, if that has not happened yet.
func (d *Dir) ready() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return fmt.Errorf("journal: %s: %w", d.path, ErrClosed)
	}
	if d.lock != nil {
		return nil
	}
	if err := d.disk.MkdirAll(d.path); err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	path := filepath.Join(d.path, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode)
	if errors.Is(err, syscall.EROFS) || errors.Is(err, os.ErrPermission) {
		// What is there can be read all the same, and a lock needs no right to write.
		f, err = os.Open(path)
	}
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	// The lock belongs to the open file: it goes with the process, however that ends, and a second
	// one in the same process conflicts.
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		f.Close()
		return fmt.Errorf("journal: %s: %w", d.path, ErrLocked)
	case err != nil:
		f.Close()
		return fmt.Errorf("journal: lock %s: %w", path, err)
	}
	d.lock = f
	return nil
}

// Close lets go of the folder. Close all logs and queues in it before.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed = true
	if d.lock == nil {
		return nil
	}
	err := d.lock.Close()
	d.lock = nil
	return err
}
