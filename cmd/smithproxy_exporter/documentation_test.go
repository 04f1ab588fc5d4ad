package main

import (
	"encoding"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/alecthomas/units"
	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"smithproxy_exporter/exporter/config"
)

// configurationPage is the reference of all settings and flags.
var configurationPage = filepath.Join("..", "..", "docs", "configuration.md")

// documented is a row of a table in configurationPage, without the code marks around its cells.
type documented struct{ kind, byDefault, effect, example string }

// documentedRow has the name of a setting or flag in its first cell.
var documentedRow = regexp.MustCompile("(?m)^\\| `(--)?([a-z0-9_.\\[\\]-]+)` \\| ([^|]+) \\| ([^|]+) \\| (.+) \\| `(.+)` \\|$")

// documentation returns the rows of settings and of flags by name.
func documentation(t *testing.T) (settings, flags map[string]documented) {
	t.Helper()
	settings, flags = map[string]documented{}, map[string]documented{}
	for _, cells := range documentedRow.FindAllStringSubmatch(read(t, configurationPage), -1) {
		rows, name := settings, cells[2]
		if cells[1] != "" {
			rows = flags
		}
		if _, twice := rows[name]; twice {
			t.Errorf("%s has two rows", name)
		}
		rows[name] = documented{cells[3], strings.ReplaceAll(cells[4], "`", ""), cells[5], cells[6]}
	}
	return settings, flags
}

// TestSettingsAreDocumented compares the rows of configurationPage with the fields of config.Config: names, types,
// defaults, and that the example has the type of the setting.
func TestSettingsAreDocumented(t *testing.T) {
	rows, _ := documentation(t)
	fields := map[string]setting{}
	walkSettings(reflect.ValueOf(config.Default()), "", false, fields)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		row, ok := rows[name]
		if !ok {
			t.Errorf("%s has no row", name)
			continue
		}
		delete(rows, name)
		field := fields[name]
		if want := kindOfSetting(field.Type()); want != "" && row.kind != want {
			t.Errorf("%s is documented as %s, but is a %s", name, row.kind, want)
		}
		// A setting of which the zero value stands for something says so behind the default: none (accept).
		byDefault, _, _ := strings.Cut(row.byDefault, " (")
		if want := defaultOfSetting(field.Value); byDefault != want && (byDefault != "required" || !field.optional) {
			t.Errorf("the default of %s is documented as %q, but is %q", name, byDefault, want)
		}
		if err := parseExample(row.example, field.Type()); err != nil {
			t.Errorf("the example %s of %s: %v", row.example, name, err)
		}
	}
	for name := range rows {
		t.Errorf("%s is documented and does not exist", name)
	}
}

// parseExample reads an example as a value of type t.
func parseExample(text string, t reflect.Type) error {
	if t == reflect.TypeFor[time.Duration]() {
		_, err := model.ParseDuration(text)
		return err
	}
	return yaml.Unmarshal([]byte(text), reflect.New(t).Interface())
}

// setting is the default value of one setting. It is optional inside a list entry or mapping that is absent by default:
// there a setting can be required.
type setting struct {
	reflect.Value
	optional bool
}

// walkSettings collects the settings of a struct by name: access.rules[].port. A mapping that is always present has no row
// of its own.
func walkSettings(v reflect.Value, path string, optional bool, found map[string]setting) {
	for i := range v.NumField() {
		tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if tag == "-" || tag == "" {
			continue
		}
		name, field := strings.TrimPrefix(path+"."+tag, "."), v.Field(i)
		if isMapping(field.Type()) {
			walkSettings(field, name, optional, found)
			continue
		}
		found[name] = setting{field, optional}
		switch t := field.Type(); {
		case t.Kind() == reflect.Pointer && isMapping(t.Elem()):
			walkSettings(reflect.New(t.Elem()).Elem(), name, true, found)
		case t.Kind() == reflect.Slice && isMapping(t.Elem()):
			walkSettings(reflect.New(t.Elem()).Elem(), name+"[]", true, found)
		}
	}
}

// isMapping reports whether a type is a struct whose fields are settings.
func isMapping(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// kindOfSetting returns the name of a type on the page, "" for types that have a name of their own.
func kindOfSetting(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "duration"
	case t == reflect.TypeFor[units.Base2Bytes]():
		return "size"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.Int && !reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return "integer"
	case t.Kind() == reflect.Slice:
		return "list"
	case t.Kind() == reflect.Map || t.Kind() == reflect.Pointer:
		return "mapping"
	case t == reflect.TypeFor[string]():
		return "string"
	}
	return ""
}

func defaultOfSetting(v reflect.Value) string {
	if d, ok := v.Interface().(time.Duration); ok {
		return model.Duration(d).String()
	}
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map, reflect.Pointer:
		if v.IsZero() {
			return "none"
		}
	}
	text := fmt.Sprint(v.Interface())
	if v.Kind() == reflect.Slice {
		return strings.ReplaceAll(text, " ", ", ") // as in YAML
	}
	return text
}

// TestFlagsAreDocumented compares the rows of configurationPage with the flags of all commands.
func TestFlagsAreDocumented(t *testing.T) {
	_, rows := documentation(t)
	command := new(flags).define().Model()
	all := slices.Clone(command.Flags)
	for _, c := range command.Commands {
		all = append(all, c.Flags...)
	}
	for _, f := range all {
		if f.Hidden {
			continue
		}
		row, ok := rows[f.Name]
		if !ok {
			t.Errorf("--%s has no row", f.Name)
			continue
		}
		delete(rows, f.Name)
		if isBoolean := row.kind == "boolean"; isBoolean != f.IsBoolFlag() {
			t.Errorf("--%s is documented as %s", f.Name, row.kind)
		}
		if want := defaultOfFlag(f); row.byDefault != want {
			t.Errorf("the default of --%s is documented as %q, but is %q", f.Name, row.byDefault, want)
		}
		if name, _, _ := strings.Cut(row.example, "="); name != "--"+f.Name {
			t.Errorf("the example of --%s is %s", f.Name, row.example)
		}
	}
	for name := range rows {
		t.Errorf("--%s is documented and does not exist", name)
	}
}

func defaultOfFlag(f *kingpin.FlagModel) string {
	switch value := strings.Join(f.Default, ","); {
	case f.Required:
		return "required"
	case f.IsBoolFlag():
		return strconv.FormatBool(value == "true")
	case value == "":
		return "none"
	default:
		return value
	}
}

// yamlBlock is a fenced example.
var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")

// TestExamplesLoad loads the configuration files that the documents show.
func TestExamplesLoad(t *testing.T) {
	for _, page := range []string{"configuration.md", "access.md", "traces.md"} {
		blocks := yamlBlock.FindAllStringSubmatch(read(t, filepath.Join("..", "..", "docs", page)), -1)
		if len(blocks) == 0 {
			t.Errorf("%s has no example", page)
		}
		for _, block := range blocks {
			if _, err := config.Load(write(t, "example.yml", block[1])); err != nil {
				t.Errorf("%s: %v\n%s", page, err, block[1])
			}
		}
	}
}

var (
	markdownLink    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	markdownHeading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	markdownFence   = regexp.MustCompile("(?ms)^```.*?^```$")
	notOfAnchors    = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// TestLinks follows the links between pages, with their anchors.
func TestLinks(t *testing.T) {
	root := filepath.Join("..", "..")
	pages := []string{filepath.Join(root, "dashboards", "README.md")}
	for _, pattern := range []string{"*.md", filepath.Join("docs", "*.md")} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("no pages %s: %v", pattern, err)
		}
		pages = append(pages, found...)
	}
	for _, page := range pages {
		for _, link := range markdownLink.FindAllStringSubmatch(read(t, page), -1) {
			target, anchor, _ := strings.Cut(link[1], "#")
			if strings.Contains(link[1], "://") {
				continue
			}
			path := page
			if target != "" {
				path = filepath.Join(filepath.Dir(page), target)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s links to %s: %v", page, link[1], err)
			} else if anchor != "" && !slices.Contains(anchors(read(t, path)), anchor) {
				t.Errorf("%s links to %s, which has no such heading", page, link[1])
			}
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// anchors returns the anchors that GitHub gives the headings of a page.
func anchors(page string) (list []string) {
	for _, heading := range markdownHeading.FindAllStringSubmatch(markdownFence.ReplaceAllString(page, ""), -1) {
		name := notOfAnchors.ReplaceAllString(strings.ToLower(heading[1]), "")
		list = append(list, strings.ReplaceAll(name, " ", "-"))
	}
	return list
}
