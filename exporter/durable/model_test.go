package durable

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"strings"
	"syscall"
)

// model is a file system in memory that tells what a power cut leaves of it.
type model struct {
	names  map[string]*inode // what processes see
	synced map[string]*inode // what SyncDir has written
	// fails is the number of the operation that fails, from 1; 0 for none. If off is set, so do all that follow, and none
	// of them has an effect: the power is off.
	fails      int
	off        bool
	operations []string
}

type inode struct {
	dir             bool
	mode            fs.FileMode
	content, synced string
}

// newModel returns a model with directories and files; those with a / at the end are directories.
func newModel(files map[string]string) *model {
	m := &model{names: map[string]*inode{}}
	for name, content := range files {
		dir := strings.HasSuffix(name, "/")
		m.names[path.Clean(name)] = &inode{dir: dir, mode: 0o777, content: content, synced: content}
	}
	m.synced = maps.Clone(m.names)
	return m
}

// operation records an operation, and returns its error.
func (m *model) operation(name string) error {
	m.operations = append(m.operations, name)
	if n := len(m.operations); n == m.fails || m.off && m.fails > 0 && n > m.fails {
		return syscall.EIO
	}
	return nil
}

// powerCut returns what may be left: only what was synced or, if names is set, all names with the content that was
// synced. A kernel writes names and content in any order.
func (m *model) powerCut(names bool) *model {
	left := m.synced
	if names {
		left = m.names
	}
	after := &model{names: map[string]*inode{}}
	for name, i := range left {
		if parent := left[path.Dir(name)]; name == "/" || parent != nil && parent.dir {
			after.names[name] = &inode{dir: i.dir, mode: i.mode, content: i.synced, synced: i.synced}
		}
	}
	after.synced = maps.Clone(after.names)
	return after
}

func (m *model) Exists(name string) (bool, error) {
	err := m.operation("exists")
	return err == nil && m.names[name] != nil, err
}

func (m *model) Mkdir(name string, mode fs.FileMode) error {
	if err := m.operation("mkdir"); err != nil {
		return err
	}
	if m.names[name] != nil {
		return fs.ErrExist
	}
	m.names[name] = &inode{dir: true, mode: mode &^ 0o700} // the umask
	return nil
}

func (m *model) Chmod(name string, mode fs.FileMode) error {
	if err := m.operation("chmod of a directory"); err != nil {
		return err
	}
	m.names[name].mode = mode
	return nil
}

func (m *model) Remove(name string) error {
	if err := m.operation("remove"); err != nil {
		return err
	}
	if m.names[name] == nil {
		return fs.ErrNotExist
	}
	delete(m.names, name)
	return nil
}

func (m *model) Rename(from, to string) error {
	if err := m.operation("rename"); err != nil {
		return err
	}
	m.names[to] = m.names[from]
	delete(m.names, from)
	return nil
}

func (m *model) Create(name string, mode fs.FileMode) (file, error) {
	if err := m.operation("create"); err != nil {
		return nil, err
	}
	if m.names[name] != nil {
		return nil, fs.ErrExist
	}
	i := &inode{mode: mode &^ 0o600} // the umask
	m.names[name] = i
	return &modelFile{m, i, false}, nil
}

func (m *model) SyncDir(dir string) error {
	if err := m.operation("sync of a directory"); err != nil {
		return err
	}
	maps.DeleteFunc(m.synced, func(name string, _ *inode) bool { return path.Dir(name) == dir && name != dir })
	for name, i := range m.names {
		if path.Dir(name) == dir && name != dir {
			m.synced[name] = i
		}
	}
	return nil
}

type modelFile struct {
	m      *model
	i      *inode
	closed bool
}

func (f *modelFile) Chmod(mode fs.FileMode) error {
	if err := f.m.operation("chmod"); err != nil {
		return err
	}
	f.i.mode = mode
	return nil
}

// WriteString writes a half before it fails, as on a disk that is full.
func (f *modelFile) WriteString(s string) (int, error) {
	if err := f.m.operation("write"); err != nil {
		f.i.content += s[:len(s)/2]
		return len(s) / 2, err
	}
	f.i.content += s
	return len(s), nil
}

func (f *modelFile) Sync() error {
	if err := f.m.operation("sync"); err != nil {
		return err
	}
	f.i.synced = f.i.content
	return nil
}

func (f *modelFile) Close() error {
	if err := f.m.operation("close"); err != nil {
		return err
	}
	if f.closed {
		return errors.New("closed twice")
	}
	f.closed = true
	return nil
}
