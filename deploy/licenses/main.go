// Command licenses writes the licence texts of all modules that are linked into packages for Linux, and of Go itself:
//
//	licenses arm64 ./cmd/...
//
// It reads the modules in the module cache, without a network, and fails if a module has no licence.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: licenses GOARCH PACKAGE...")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "licenses:", err)
		os.Exit(1)
	}
}

func run(architecture string, patterns []string, out io.Writer) error {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	modules, err := linked(architecture, patterns)
	if err != nil {
		return err
	}
	goroot := strings.TrimSpace(string(root))
	modules = append([]module{{Path: "The Go standard library", Dir: goroot, packages: []string{goroot}}}, modules...)
	for _, m := range modules {
		texts, err := m.texts()
		if err != nil {
			return err
		}
		for _, text := range texts {
			if _, err := fmt.Fprintf(out, "%s\n%s %s: %s\n\n%s\n\n", strings.Repeat("=", 80), m.Path, m.Version, text.name, text.content); err != nil {
				return err
			}
		}
	}
	return nil
}

// module is a module, with the directories of its packages that are linked.
type module struct {
	Path, Version, Dir string
	Main               bool
	packages           []string
}

// linked returns the modules of all packages that the patterns need, by path. The main module is not among them.
func linked(architecture string, patterns []string) ([]module, error) {
	command := exec.Command("go", append([]string{"list", "-deps", "-json=Dir,Module"}, patterns...)...)
	command.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+architecture, "CGO_ENABLED=0")
	command.Stderr = os.Stderr
	listed, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	found := map[string]*module{}
	packages := json.NewDecoder(bytes.NewReader(listed))
	for {
		var p struct {
			Dir    string
			Module *module
		}
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		if p.Module == nil || p.Module.Main {
			continue
		}
		if found[p.Module.Path] == nil {
			found[p.Module.Path] = p.Module
		}
		m := found[p.Module.Path]
		m.packages = append(m.packages, p.Dir)
	}
	var modules []module
	for _, m := range found {
		modules = append(modules, *m)
	}
	slices.SortFunc(modules, func(a, b module) int { return strings.Compare(a.Path, b.Path) })
	return modules, nil
}

// license matches the names of files that have to be passed on with a program.
var license = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents|copyright)([-._].*)?$`)

// text is a licence, with its path in the module.
type text struct {
	name    string
	content []byte
}

// texts returns the files of licences in the directories from the packages up to the module's root.
func (m module) texts() ([]text, error) {
	directories := map[string]bool{}
	for _, dir := range m.packages {
		for ; len(dir) >= len(m.Dir); dir = filepath.Dir(dir) {
			directories[dir] = true
		}
	}
	var texts []text
	for dir := range directories {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, entry := range entries {
			if !entry.Type().IsRegular() || !license.MatchString(entry.Name()) || strings.HasSuffix(entry.Name(), ".go") {
				continue
			}
			path := filepath.Join(dir, entry.Name())
			content, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			name, err := filepath.Rel(m.Dir, path)
			if err != nil {
				return nil, err
			}
			texts = append(texts, text{name, bytes.TrimSpace(content)})
		}
	}
	if len(texts) == 0 {
		return nil, fmt.Errorf("module %s %s has no licence", m.Path, m.Version)
	}
	slices.SortFunc(texts, func(a, b text) int { return strings.Compare(a.name, b.name) })
	return texts, nil
}
