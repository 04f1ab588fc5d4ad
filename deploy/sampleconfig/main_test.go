package main

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"smithproxy_exporter/exporter/config"
)

func sample(t *testing.T) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := write(&b, string(page)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func load(t *testing.T, text string) config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	c.Positions = config.Positions{}
	return c
}

// TestSampleIsTheDefault loads the sample as it is.
func TestSampleIsTheDefault(t *testing.T) {
	if got, want := load(t, sample(t)), config.Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("the sample is %+v, want the defaults %+v", got, want)
	}
}

// commented is a setting: it is indented by two spaces for each level, which prose, with a space more, is not.
var commented = regexp.MustCompile(`(?m)^#((?:  )*[a-z0-9_]+:)`)

// TestEverySettingIsInTheSample removes the comments: everything in the file is a setting, and no top-level setting lacks.
func TestEverySettingIsInTheSample(t *testing.T) {
	text := sample(t)
	uncommented := commented.ReplaceAllString(text, "$1")
	c := load(t, uncommented)
	fields := map[string]bool{}
	walk(reflect.TypeOf(c), "", fields)
	if len(fields) < 40 {
		t.Fatalf("only %d settings were found: %v", len(fields), fields)
	}
	for name := range maps.Keys(fields) {
		if !strings.Contains(uncommented, "\n"+name) {
			t.Errorf("the sample lacks %q", name)
		}
	}
}

// walk collects the lines that settings begin with, down to lists and mappings that are absent by default.
func walk(t reflect.Type, indent string, found map[string]bool) {
	for f := range t.Fields() {
		tag := f.Tag.Get("yaml")
		if tag == "" || tag == "-" {
			continue
		}
		found[indent+tag+":"] = true
		if f.Type.Kind() == reflect.Struct {
			walk(f.Type, indent+"  ", found)
		}
	}
}

func TestWrite(t *testing.T) {
	const page = "## Configuration file\n\n### api\n\nThe [JSON API](api.md).\n\n| setting | type | default | effect | example |\n" +
		"| --- | --- | --- | --- | --- |\n" +
		"| `api.size` | size | `1MiB` | Size. | `2MiB` |\n" +
		"| `api.tls.limits.rate` | integer | `1` | Rate. | `2` |\n" +
		"| `api.tls.limits.burst` | integer | `3` | Burst. | `2` |\n" +
		"| `api.users` | list | none (all) | Users. | `[{name: a}]` |\n" +
		"| `api.users[].name` | string | required | Name. | `a` |\n\n" +
		"## Environment\n\n| `api.not` | size | `1MiB` | Not here. | `2MiB` |\n"
	var b strings.Builder
	if err := write(&b, page); err != nil {
		t.Fatal(err)
	}
	const want = `
# The JSON API.
#api:
#   Size.
#  size: 1MiB

#  tls:
#    limits:
#       Rate.
#      rate: 1

#       Burst.
#      burst: 3

#   Users.
#   users[].name (string, required): Name.
#   Default: none (all). Example:
#  users: [{name: a}]
`
	if got := strings.TrimPrefix(b.String(), header); got != want {
		t.Errorf("the sample is\n%s\nwant\n%s", got, want)
	}
	if err := write(&b, "# Nothing\n"); err == nil {
		t.Error("a page without settings is accepted")
	}
}
