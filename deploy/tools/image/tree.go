package main

import (
	"archive/tar"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// tree writes directories as a tar archive that depends on nothing but names, modes and contents.
type tree struct {
	out      *tar.Writer
	modified time.Time
	uid, gid int
}

func newTree(out io.Writer, modified time.Time) *tree {
	return &tree{out: tar.NewWriter(out), modified: modified}
}

// add writes the content of a directory, under a path in the archive, and ends the archive. Parents of the path belong to root.
func (t *tree) add(directory, target string) error {
	for parent, rest, ok := strings.Cut(strings.Trim(path.Dir(target), "/"), "/"); parent != "" && parent != "."; {
		if err := t.out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: parent + "/", Mode: 0o755, ModTime: t.modified}); err != nil {
			return err
		}
		if !ok {
			break
		}
		var next string
		next, rest, ok = strings.Cut(rest, "/")
		parent += "/" + next
	}
	err := filepath.WalkDir(directory, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(directory, name)
		if err != nil {
			return err
		}
		return t.write(name, strings.TrimPrefix(path.Join(target, filepath.ToSlash(relative)), "/"), entry)
	})
	if err != nil {
		return err
	}
	return t.out.Close()
}

func (t *tree) write(name, inArchive string, entry fs.DirEntry) error {
	if inArchive == "" {
		return nil
	}
	info, err := entry.Info()
	if err != nil {
		return err
	}
	header := &tar.Header{Name: inArchive, Mode: int64(info.Mode().Perm()), Uid: t.uid, Gid: t.gid, ModTime: t.modified}
	if entry.IsDir() {
		header.Typeflag, header.Name = tar.TypeDir, inArchive+"/"
		return t.out.WriteHeader(header)
	}
	header.Typeflag, header.Size = tar.TypeReg, info.Size()
	if err := t.out.WriteHeader(header); err != nil {
		return err
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(t.out, file)
	return err
}
