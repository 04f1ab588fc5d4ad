package main

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// TestImage makes an archive by the Dockerfile that is shipped, unpacks it, and reads it as a registry client does.
func TestImage(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1795533141")
	root := t.TempDir()
	for _, name := range []string{"usr/bin/smithproxy_exporter", "etc/ssl/certs/ca-certificates.crt", "var/lib/smithproxy_exporter/x"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	archive := func(size string) (string, error) {
		out := filepath.Join(t.TempDir(), "image.tar")
		return out, run([]string{"-dockerfile=../../Dockerfile", "-arg=VERSION=1.2.3", "-arg=REVISION=abc", "-arg=DATE=now", "-name=1.2.3",
			"-max-size=" + size, "-out=" + out, "amd64=" + root, "arm64=" + root})
	}
	first, err := archive("1000")
	if err != nil {
		t.Fatal(err)
	}
	second, err := archive("1000")
	if err != nil {
		t.Fatal(err)
	}
	if a, b := read(t, first), read(t, second); string(a) != string(b) {
		t.Error("two archives of the same files differ")
	}
	if _, err := archive("10"); err == nil {
		t.Error("an image over the limit is made")
	}

	index, err := layout.ImageIndexFromPath(unpack(t, first))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	top, err := index.IndexManifest()
	if err != nil || len(top.Manifests) != 1 || top.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "1.2.3" {
		t.Fatalf("the layout has %+v, %v", top, err)
	}
	images, err := index.ImageIndex(top.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := images.IndexManifest()
	if err != nil || len(manifest.Manifests) != 2 {
		t.Fatalf("the index has %+v, %v", manifest, err)
	}
	for i, architecture := range []string{"amd64", "arm64"} {
		image, err := images.Image(manifest.Manifests[i].Digest)
		if err != nil {
			t.Fatal(err)
		}
		checkConfig(t, image, architecture)
		checkFiles(t, image)
	}
}

func checkConfig(t *testing.T, image v1.Image, architecture string) {
	t.Helper()
	file, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := file.Config
	if file.Architecture != architecture || file.OS != "linux" || c.User != "65532:65532" || c.Labels["org.opencontainers.image.version"] != "1.2.3" ||
		c.Labels["org.opencontainers.image.revision"] != "abc" || !slices.Equal(c.Entrypoint, []string{"/usr/bin/smithproxy_exporter", "--storage.path=/var/lib/smithproxy_exporter"}) {
		t.Errorf("the configuration is %+v", file)
	}
	if h := c.Healthcheck; h == nil || !slices.Equal(h.Test, []string{"CMD", "/usr/bin/smithproxy_exporter", "healthcheck"}) || h.Timeout != 5*time.Second {
		t.Errorf("the health check is %+v", h)
	}
	if _, ok := c.Volumes["/var/lib/smithproxy_exporter"]; !ok || len(c.ExposedPorts) != 2 {
		t.Errorf("the volumes are %v, the ports %v", c.Volumes, c.ExposedPorts)
	}
}

// checkFiles expects the state to belong to the user of the image, and the rest to root.
func checkFiles(t *testing.T, image v1.Image) {
	t.Helper()
	content := mutate.Extract(image)
	defer content.Close()
	owners := map[string]int{}
	files := tar.NewReader(content)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		owners[header.Name] = header.Uid
	}
	for name, want := range map[string]int{
		"usr/bin/smithproxy_exporter": 0, "etc/ssl/certs/ca-certificates.crt": 0, "var/lib": 0, "var/lib/smithproxy_exporter": 65532,
	} {
		if got, ok := owners[name]; !ok || got != want {
			t.Errorf("%s belongs to %d (%v), want %d; there are %v", name, got, ok, want, owners)
		}
	}
}

func TestUnknownInstructions(t *testing.T) {
	for _, dockerfile := range []string{
		"FROM scratch\nSHELL [\"sh\"]", "FROM scratch\nCOPY --link /rootfs/a /a", "FROM scratch\nCOPY /rootfs/a /rootfs/b /c",
		"FROM scratch\nCOPY /rootfs/a /a\nRUN true", "FROM scratch\nHEALTHCHECK NONE", "FROM scratch\nENTRYPOINT sh",
	} {
		if _, err := parse(dockerfile, nil); err == nil {
			t.Errorf("%q is accepted", dockerfile)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func unpack(t *testing.T, archive string) string {
	t.Helper()
	dir := t.TempDir()
	file, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	files := tar.NewReader(file)
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return dir
		} else if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, header.Name)
		if header.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else {
			var content []byte
			if content, err = io.ReadAll(files); err == nil {
				err = os.WriteFile(path, content, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
