package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxPayload is that of a frame: an entry and what a queue keeps with it.
const maxPayload = MaxEntry + metaSize

const extension = ".log"

// fileName is that of a segment.
func fileName(number uint64) string { return fmt.Sprintf("%08d%s", number, extension) }

// parseName is the number of a segment. ok is false for files that are none.
func parseName(name string) (number uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, extension)
	if !ok {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 10, 63)
	return number, err == nil && fileName(number) == name
}

// folder is where the segments of one log or queue are.
type folder struct {
	dir  *Dir
	path string
	sync bool
}

func newFolder(dir *Dir, name string, sync bool) folder {
	return folder{dir, filepath.Join(dir.path, name), sync}
}

func (f folder) join(name string) string { return filepath.Join(f.path, name) }

// segments lists the numbers of the segments that are there, oldest first.
func (f folder) segments() ([]uint64, error) {
	if err := f.dir.ready(); err != nil {
		return nil, err
	}
	names, err := f.dir.disk.List(f.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("journal: %w", err)
	}
	var numbers []uint64
	for _, name := range names {
		if n, ok := parseName(name); ok {
			numbers = append(numbers, n)
		}
	}
	// Numbers of more than eight digits are not in the order of their names.
	slices.Sort(numbers)
	return numbers, nil
}

// create opens a file for writing, with the flags besides, and makes it if it is missing.
func (f folder) create(name string, flag int) (file, error) {
	if err := f.dir.ready(); err != nil {
		return nil, err
	}
	flag |= os.O_RDWR | os.O_CREATE
	opened, err := f.dir.disk.Open(f.join(name), flag)
	if !errors.Is(err, fs.ErrNotExist) {
		return opened, err
	}
	if err := f.dir.disk.MkdirAll(f.path); err != nil {
		return nil, err
	}
	if f.sync {
		if err := f.dir.disk.SyncDir(f.dir.path); err != nil {
			return nil, err
		}
	}
	return f.dir.disk.Open(f.join(name), flag)
}

// resume opens a segment for writing behind its last entry, and cuts off what follows that.
func (f folder) resume(at position) (file, error) {
	opened, err := f.dir.disk.Open(f.join(fileName(at.segment)), os.O_RDWR)
	if err != nil {
		return nil, err
	}
	if err := opened.Truncate(at.offset); err != nil {
		opened.Close()
		return nil, err
	}
	return opened, nil
}

// scan opens a segment for reading all of it. The caller closes the file.
func (f folder) scan(number uint64) (*scanner, file, error) {
	opened, err := f.dir.disk.Open(f.join(fileName(number)), os.O_RDONLY)
	if err != nil {
		return nil, nil, err
	}
	size, err := opened.Size()
	if err == nil {
		s := &scanner{src: opened, number: number, end: size}
		if err = s.begin(); err == nil {
			return s, opened, nil
		}
	}
	opened.Close()
	return nil, nil, err
}

// size is that of a segment on disk, 0 if it cannot be told.
func (f folder) size(number uint64) int64 {
	opened, err := f.dir.disk.Open(f.join(fileName(number)), os.O_RDONLY)
	if err != nil {
		return 0
	}
	defer opened.Close()
	size, _ := opened.Size()
	return size
}

// datasync does so if the options ask for it.
func (f folder) datasync(of file) error {
	if !f.sync {
		return nil
	}
	return of.Datasync()
}

// syncDir does so if the options ask for it.
func (f folder) syncDir() error {
	if !f.sync {
		return nil
	}
	return f.dir.disk.SyncDir(f.path)
}

// remove removes a file. One that is not there is no error.
func (f folder) remove(name string) error {
	if err := f.dir.disk.Remove(f.join(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
