// Package workflow holds the workflows of the forge against .ci/run, so that neither does what the other does not.
package workflow

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const root = "../.."

var target = regexp.MustCompile(`(?m)^make ([a-z-]+)`)

// targets returns the targets of the Makefile that a script calls.
func targets(script string) (names []string) {
	for _, found := range target.FindAllStringSubmatch(script, -1) {
		names = append(names, found[1])
	}
	slices.Sort(names)
	return names
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// job is as much of a job as is compared.
type job struct {
	Permissions map[string]string
	Steps       []struct {
		Uses string
		Run  string
	}
}

func jobs(t *testing.T, file string) map[string]job {
	t.Helper()
	var w struct{ Jobs map[string]job }
	if err := yaml.Unmarshal([]byte(read(t, file)), &w); err != nil {
		t.Fatal(err)
	}
	return w.Jobs
}

// TestSameTargets: CI calls the targets of .ci/run, and the release no others.
func TestSameTargets(t *testing.T) {
	local := targets(read(t, ".ci/run"))
	if len(local) < 8 {
		t.Fatalf(".ci/run calls only %v", local)
	}
	for file, all := range map[string]bool{".github/workflows/ci.yml": true, ".github/workflows/release.yml": false} {
		var called []string
		for _, j := range jobs(t, file) {
			for _, step := range j.Steps {
				called = append(called, targets(step.Run)...)
			}
		}
		slices.Sort(called)
		if all && !slices.Equal(called, local) {
			t.Errorf("%s calls %v, .ci/run calls %v", file, called, local)
		}
		for _, name := range called {
			if !slices.Contains(local, name) {
				t.Errorf("%s calls make %s, .ci/run does not", file, name)
			}
		}
	}
}

var pinned = regexp.MustCompile(`^[\w.-]+/[\w./-]+@[0-9a-f]{40}$`)

// TestActionsArePinned: a tag can be moved, a commit cannot. A job that may write runs nothing of the repository.
func TestActionsArePinned(t *testing.T) {
	for _, file := range []string{".github/workflows/ci.yml", ".github/workflows/release.yml"} {
		for name, j := range jobs(t, file) {
			for _, step := range j.Steps {
				if step.Uses != "" && !pinned.MatchString(step.Uses) {
					t.Errorf("%s: %s is not pinned to a commit", file, step.Uses)
				}
				if writes := len(j.Permissions) > 0; writes && (strings.Contains(step.Uses, "checkout") || len(targets(step.Run)) > 0) {
					t.Errorf("%s: job %s may write, and runs the repository", file, name)
				}
			}
		}
	}
}
