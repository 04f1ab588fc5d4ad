// Command sampleconfig writes a configuration file in which every setting is commented out, from the tables of
// docs/configuration.md, which a test compares with the code:
//
//	sampleconfig docs/configuration.md
//
// Settings have their defaults; those without a default have the example of the documentation.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: sampleconfig docs/configuration.md")
		os.Exit(2)
	}
	page, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = write(os.Stdout, string(page))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sampleconfig:", err)
		os.Exit(1)
	}
}

const header = `# Configuration of smithproxy_exporter. Everything is optional: the values below are the defaults, or examples where a
# setting has none. Remove the "#" directly before a setting, and before the section that it belongs to.
#
# Check the file: smithproxy_exporter --config.check --config.file=/etc/smithproxy_exporter/config.yml
# Load it:        systemctl reload smithproxy_exporter (access and webhook), systemctl restart smithproxy_exporter (the rest)
`

// section is a part of the page: one top-level key of the file.
type section struct {
	name, intro string
	settings    []setting
}

// setting is a row of a table.
type setting struct{ name, kind, byDefault, effect, example string }

// write writes the file that a page documents.
func write(out io.Writer, page string) error {
	sections := parse(page)
	if len(sections) == 0 {
		return errors.New("the page has no tables of settings")
	}
	var b strings.Builder
	b.WriteString(header)
	for _, s := range sections {
		b.WriteString("\n")
		comment(&b, "", s.intro)
		b.WriteString("#" + s.name + ":\n")
		s.write(&b)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

var (
	heading = regexp.MustCompile("^### ([a-z]+)$")
	row     = regexp.MustCompile("^\\| `([a-z0-9_.\\[\\]]+)` \\| ([^|]+) \\| ([^|]+) \\| (.+) \\| `(.+)` \\|$")
	link    = regexp.MustCompile(`\[([^\]]+)\]\([^)]*\)`)
)

// parse returns the sections of the page in order.
func parse(page string) (sections []section) {
	var s *section
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		found := heading.FindStringSubmatch(line)
		cells := row.FindStringSubmatch(line)
		switch {
		case found != nil:
			sections = append(sections, section{name: found[1]})
			s = &sections[len(sections)-1]
		case strings.HasPrefix(line, "#"):
			s = nil
		case s == nil:
		case cells != nil:
			name, ok := strings.CutPrefix(cells[1], s.name+".")
			if ok {
				s.settings = append(s.settings, setting{name, cells[2], plain(cells[3]), plain(cells[4]), cells[5]})
			}
		case len(s.settings) == 0 && line != "" && !strings.HasPrefix(line, "|"):
			s.intro = strings.TrimSpace(s.intro + " " + plain(line))
		}
	}
	return sections
}

// plain returns text without the marks of Markdown.
func plain(text string) string {
	return strings.ReplaceAll(link.ReplaceAllString(text, "$1"), "`", "")
}

// write writes the settings of the section. A setting inside a list, or inside a mapping that does not exist by default, is
// described above that, which is on one line.
func (s section) write(b *strings.Builder) {
	var open []string // the mappings that the previous setting was in
	for i := 0; i < len(s.settings); i++ {
		next := s.settings[i]
		path := strings.Split(next.name, ".")
		last := len(path) - 1
		common := 0
		for common < min(len(open), last) && open[common] == path[common] {
			common++
		}
		if i > 0 {
			b.WriteString("\n")
		}
		for ; common < last; common++ {
			b.WriteString("#" + strings.Repeat("  ", common+1) + path[common] + ":\n")
		}
		open = path[:last]
		indent := strings.Repeat("  ", last+1)
		comment(b, indent, next.effect)
		for i+1 < len(s.settings) && within(s.settings[i+1].name, next.name) {
			i++
			inner := s.settings[i]
			comment(b, indent, inner.name+" ("+inner.kind+", "+inner.byDefault+"): "+inner.effect)
		}
		value := next.byDefault
		if strings.HasPrefix(value, "none") || value == "required" {
			value = next.example
			comment(b, indent, "Default: "+next.byDefault+". Example:")
		}
		b.WriteString("#" + indent + path[last] + ": " + value + "\n")
	}
}

// within reports whether a setting is inside another: a list, or a mapping that has a row of its own.
func within(inner, outer string) bool {
	return strings.HasPrefix(inner, outer+".") || strings.HasPrefix(inner, outer+"[")
}

// comment writes text in lines of at most 120 characters, at an indentation.
func comment(b *strings.Builder, indent, text string) {
	line := ""
	flush := func() {
		if line != "" {
			b.WriteString("# " + indent + line + "\n")
		}
	}
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(indent)+len(line)+len(word)+3 > 120 {
			flush()
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	flush()
}
