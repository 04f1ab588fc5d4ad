//go:build browser

// Package browser tests the pages in Chromium, with the exporter and simulated proxies behind them.
package browser

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

var (
	screenshots = flag.String("screenshots", "", "folder for pictures of all pages; without it none are made")
	large       = flag.Int("large", 0, "number of finished connections with which the pages are measured, beside two fifths as many open ones")
)

// binaries is the folder of the built programs.
var binaries string

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if binaries, err = os.MkdirTemp("", "browser"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(binaries)
	build := exec.Command("go", "build", "-o", binaries, "./cmd/...")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
		return 1
	}
	end, err := startBrowser()
	if err != nil {
		fmt.Fprintln(os.Stderr, "chromium:", err)
		return 1
	}
	defer end()
	return m.Run()
}
