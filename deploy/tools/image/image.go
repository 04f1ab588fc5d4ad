package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// stage is the directory of the other stage that the Dockerfile copies from; DIR takes its place.
const stage = "/rootfs/"

// platform is an architecture of Linux, and the directory that its image is made of.
type platform struct{ architecture, directory string }

// size returns the size of all files in bytes.
func (p platform) size() (bytes int64, err error) {
	err = filepath.WalkDir(p.directory, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	return bytes, err
}

// index returns the images of all platforms, inside the index of an OCI layout.
func (r recipe) index(platforms []platform, name string, created time.Time) (v1.ImageIndex, error) {
	images := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range platforms {
		image, err := r.image(p, created)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.architecture, err)
		}
		images = mutate.AppendManifests(images, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: p.architecture}},
		})
	}
	return mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
		Add: images, Descriptor: v1.Descriptor{Annotations: map[string]string{
			"org.opencontainers.image.ref.name": name, "io.containerd.image.name": "smithproxy_exporter:" + name,
		}},
	}), nil
}

func (r recipe) image(p platform, created time.Time) (v1.Image, error) {
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err := mutate.ConfigFile(image, &v1.ConfigFile{
		OS: "linux", Architecture: p.architecture, Created: v1.Time{Time: created}, Config: r.config,
		RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{}},
	})
	if err != nil {
		return nil, err
	}
	for _, c := range r.copies {
		relative, ok := strings.CutPrefix(c.source, stage)
		if !ok {
			return nil, fmt.Errorf("COPY %s is not from %s", c.source, stage)
		}
		var content bytes.Buffer
		t := newTree(&content, created)
		t.uid, t.gid = c.uid, c.gid
		if err := t.add(filepath.Join(p.directory, relative), c.target); err != nil {
			return nil, err
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(content.Bytes())), nil
		}, tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return nil, err
		}
		if image, err = mutate.Append(image, mutate.Addendum{
			Layer: layer, History: v1.History{Created: v1.Time{Time: created}, CreatedBy: "COPY " + c.source + " " + c.target},
		}); err != nil {
			return nil, err
		}
	}
	return image, nil
}

// writeArchive writes an OCI layout as a tar archive.
func writeArchive(path string, index v1.ImageIndex, modified time.Time) error {
	directory, err := os.MkdirTemp(filepath.Dir(path), "layout-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	if _, err := layout.Write(directory, index); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if err := newTree(file, modified).add(directory, "/"); err != nil {
		return err
	}
	return file.Close()
}
