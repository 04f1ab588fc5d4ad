package config

import (
	"errors"
	"fmt"
	"strings"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/setting"
)

// Origin is where a configuration was read.
type Origin struct {
	// Path is the file's; "" without one.
	Path string
	// Lines of the fields, by names such as access.rules[2].port.
	Lines map[string]int
}

// Access says of an error in the access part which file and line it is in.
func (o Origin) Access(err error) error {
	return o.locate(accessError(err))
}

func accessError(err error) error {
	if wrong, ok := errors.AsType[*access.FieldError](err); ok {
		return &fieldError{field: "access." + wrong.Field, err: wrong.Err}
	}
	return err
}

// Webhook says of an error in the webhook part which file and line it is in.
func (o Origin) Webhook(err error) error {
	return o.locate(webhookError(err))
}

func webhookError(err error) error {
	if wrong, ok := errors.AsType[*setting.Error](err); ok {
		return &fieldError{field: "webhook." + wrong.Field, err: wrong.Err}
	}
	return err
}

func (o Origin) locate(err error) error {
	wrong, ok := errors.AsType[*fieldError](err)
	if !ok {
		return o.at(0, err)
	}
	if wrong.line == 0 {
		wrong.line = line(o.Lines, wrong.field)
	}
	return o.at(wrong.line, wrong)
}

func (o Origin) at(line int, err error) error {
	if line == 0 {
		return fmt.Errorf("configuration %s: %w", o.Path, err)
	}
	return fmt.Errorf("configuration %s:%d: %w", o.Path, line, err)
}

// fieldError is an error in one field of the file: `connections.grace_period`.
type fieldError struct {
	field string
	line  int // 0 when the field is not in the file
	err   error
}

func (e *fieldError) Error() string { return e.field + ": " + e.err.Error() }

func (e *fieldError) Unwrap() error { return e.err }

// line returns the line of a field or, if it is not there, of the nearest one around it; 0 when there is none.
func line(lines map[string]int, field string) int {
	for field != "" {
		if n, ok := lines[field]; ok {
			return n
		}
		field = field[:max(0, strings.LastIndexAny(field, ".["))]
	}
	return 0
}
