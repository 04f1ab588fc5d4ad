//go:build e2e

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// programs are the paths of what was built.
type programs struct{ exporter, simulator, collector, jaeger string }

// build makes the programs. The two large ones take minutes and are kept in the user's cache.
func build(t *testing.T) programs {
	t.Helper()
	dir := t.TempDir()
	p := programs{exporter: filepath.Join(dir, "smithproxy_exporter"), simulator: filepath.Join(dir, "smithproxy_sim")}
	var own, collector, jaeger error
	var builds sync.WaitGroup
	builds.Go(func() { own = goBuild(root, dir+string(filepath.Separator), "./cmd/...") })
	builds.Go(func() { p.collector, collector = cached("collector", ".") })
	builds.Go(func() { p.jaeger, jaeger = cached("jaeger", "github.com/jaegertracing/jaeger/cmd/all-in-one") })
	builds.Wait()
	if err := errors.Join(own, collector, jaeger); err != nil {
		t.Fatal(err)
	}
	return p
}

// cached returns the program of the package, built in the module, a folder of this one. What is in the
// cache under the hash of all that goes into the program is not built again.
func cached(module, pkg string) (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	hash := sha256.New()
	hash.Write([]byte(runtime.Version() + runtime.GOARCH + pkg))
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		content, err := os.ReadFile(filepath.Join(module, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		hash.Write(content)
	}
	dir := filepath.Join(base, "smithproxy_exporter-e2e")
	path := filepath.Join(dir, module+"-"+hex.EncodeToString(hash.Sum(nil)[:8]))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	// A build that is cut off must not look like a program.
	unfinished, err := os.MkdirTemp(dir, module+"-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(unfinished)
	built := filepath.Join(unfinished, module)
	if err := goBuild(module, built, pkg); err != nil {
		return "", err
	}
	return path, os.Rename(built, path)
}

// goBuild builds with exactly what go.mod and go.sum say.
func goBuild(dir, output, pkg string) error {
	command := exec.Command("go", "build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", output, pkg)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		return errors.Join(errors.New("build "+pkg+" in "+dir), err, errors.New(string(out)))
	}
	return nil
}
