package journal

import (
	"math/rand/v2"
	"os"
	"path/filepath"
)

// powerFS is a disk that forgets what was not synced, when its power is cut: of a file, any part of what
// was written since, and of a folder, any of the changes since.
type powerFS struct {
	*hookFS
	// synced is the content of files as it was when synced, by a handle that renames do not change.
	files map[string]*powerNode
	// undo are the changes of folders that were not synced, oldest first.
	undo map[string][]func() error
}

// powerNode is a file by any name.
type powerNode struct {
	path   string
	synced []byte
}

func newPowerFS() *powerFS {
	return &powerFS{&hookFS{}, map[string]*powerNode{}, map[string][]func() error{}}
}

func (p *powerFS) changed(path string, undo func() error) {
	p.undo[filepath.Dir(path)] = append(p.undo[filepath.Dir(path)], undo)
}

func (p *powerFS) MkdirAll(path string) error {
	_, err := os.Stat(path)
	if made := p.hookFS.MkdirAll(path); made != nil || err == nil {
		return made
	}
	p.changed(path, func() error { return os.RemoveAll(path) })
	return nil
}

func (p *powerFS) Open(path string, flag int) (file, error) {
	_, missing := os.Stat(path)
	f, err := p.hookFS.Open(path, flag)
	if err != nil {
		return nil, err
	}
	node := p.files[path]
	if node == nil {
		node = &powerNode{path: path}
		p.files[path] = node
	}
	if missing != nil {
		p.changed(path, func() error { return os.Remove(node.path) })
	}
	if flag&os.O_TRUNC != 0 {
		node.synced = nil
	}
	return &powerFile{f, node}, nil
}

func (p *powerFS) Rename(from, to string) error {
	if err := p.hookFS.Rename(from, to); err != nil {
		return err
	}
	node := p.files[from]
	node.path = to
	p.files[to] = node
	delete(p.files, from)
	p.changed(to, func() error { node.path = from; return os.Rename(to, from) })
	return nil
}

func (p *powerFS) Remove(path string) error {
	content, _ := os.ReadFile(path)
	if err := p.hookFS.Remove(path); err != nil {
		return err
	}
	p.changed(path, func() error { return os.WriteFile(path, content, fileMode) })
	return nil
}

func (p *powerFS) SyncDir(path string) error {
	if err := p.hookFS.SyncDir(path); err != nil {
		return err
	}
	delete(p.undo, path)
	return nil
}

// cut cuts the power. Changes of a folder are kept up to any one, for journals of file systems keep
// their order; content is not ordered with them.
func (p *powerFS) cut(random *rand.Rand) error {
	for _, node := range p.files {
		now, err := os.ReadFile(node.path)
		if err != nil {
			continue
		}
		for i := range now {
			if i >= len(node.synced) && random.IntN(3) == 0 {
				now[i] = 0
			}
		}
		if len(now) > len(node.synced) {
			now = now[:len(node.synced)+random.IntN(len(now)-len(node.synced)+1)]
		}
		if err := os.WriteFile(node.path, now, fileMode); err != nil {
			return err
		}
	}
	for _, undo := range p.undo {
		keep := random.IntN(len(undo) + 1)
		for i := len(undo) - 1; i >= keep; i-- {
			if err := undo[i](); err != nil && !os.IsNotExist(err) {
				return err
			}
		}
	}
	return nil
}

type powerFile struct {
	file
	node *powerNode
}

func (f *powerFile) Datasync() error {
	if err := f.file.Datasync(); err != nil {
		return err
	}
	content, err := os.ReadFile(f.node.path)
	if err == nil {
		f.node.synced = content
	}
	return err
}
