package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTexts(t *testing.T) {
	root := t.TempDir()
	for name, content := range map[string]string{
		"LICENSE": "root\n", "README.md": "no licence", "license.go": "package m", "inner/pkg/COPYING.txt": "inner",
		"other/LICENSE": "not linked", "inner/NOTICE": "notice",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	texts, err := module{Path: "m", Dir: root, packages: []string{filepath.Join(root, "inner", "pkg")}}.texts()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, found := range texts {
		got = append(got, found.name+"="+string(found.content))
	}
	if want := "LICENSE=root inner/NOTICE=notice inner/pkg/COPYING.txt=inner"; strings.Join(got, " ") != want {
		t.Errorf("the texts are %v, want %s", got, want)
	}
	if _, err := (module{Path: "m", Dir: t.TempDir(), packages: []string{t.TempDir()}}).texts(); err == nil {
		t.Error("a module without a licence is accepted")
	}
}

// TestLinked lists the licences of the exporter: one of Go, one at least of each module.
func TestLinked(t *testing.T) {
	var out bytes.Buffer
	if err := run("amd64", []string{"../../cmd/smithproxy_exporter"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nThe Go standard library : LICENSE\n", "\ngithub.com/cockroachdb/pebble/v2 v2.", "\ngoogle.golang.org/grpc v1."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the texts lack %q", want)
		}
	}
	if strings.Contains(out.String(), "go-cmp") {
		t.Error("the texts have a module that only tests use")
	}
}
