package config

import (
	"errors"
	"fmt"
	"strings"

	"smithproxy_exporter/exporter/setting"
)

// Positions are where the fields of a configuration were read.
type Positions struct {
	// Path is the file's; "" without one.
	Path string
	// Lines are the lines of the fields by their paths, such as access.rules[2].port.
	Lines map[string]int
}

// Locate adds the file and the line to an error in a section. The line is known if the error has a *setting.Error.
func (p Positions) Locate(section string, err error) error {
	return p.locate(setting.Within(section, err))
}

func (p Positions) locate(err error) error {
	if wrong, ok := errors.AsType[*setting.Error](err); ok {
		return p.at(p.line(wrong.Field), wrong)
	}
	return p.at(0, err)
}

func (p Positions) at(line int, err error) error {
	if line == 0 {
		return fmt.Errorf("configuration %s: %w", p.Path, err)
	}
	return fmt.Errorf("configuration %s:%d: %w", p.Path, line, err)
}

// line returns the line of a field or, if the file does not have it, of the innermost section around it that the
// file has; 0 without any.
func (p Positions) line(field string) int {
	for field != "" {
		if n, ok := p.Lines[field]; ok {
			return n
		}
		field = field[:max(0, strings.LastIndexAny(field, ".["))]
	}
	return 0
}
