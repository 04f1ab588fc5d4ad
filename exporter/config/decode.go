package config

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"

	"smithproxy_exporter/exporter/setting"
)

// decode reads a YAML document into c, and returns the lines of its fields. Its errors are a *lineError.
func decode(raw []byte, c *Config) (map[string]int, error) {
	var document, more yaml.Node
	documents := yaml.NewDecoder(bytes.NewReader(raw))
	err := documents.Decode(&document)
	switch {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err == nil:
		err = documents.Decode(&more)
	}
	switch {
	case err == nil:
		return nil, &lineError{more.Line, errors.New("the file has more than one document")}
	case !errors.Is(err, io.EOF):
		line, text := position(err)
		return nil, &lineError{line, errors.New("invalid YAML: " + text)}
	}
	d := decoder{map[string]int{}}
	if err := d.decode(document.Content[0], reflect.ValueOf(c).Elem(), ""); err != nil {
		return nil, err
	}
	return d.lines, nil
}

// lineError is an error in a line of the file; 0 if the line is not known.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string { return e.err.Error() }

func (e *lineError) Unwrap() error { return e.err }

// decoder reads YAML into a struct as yaml.Decoder with KnownFields does, but its errors name the line and the field,
// and it records the lines of all fields. It reads a time.Duration in the notation of Prometheus: 30d, 1h30m.
type decoder struct{ lines map[string]int }

// decode decodes n into v. field is the path of v, such as `access.rules[2].port`.
func (d *decoder) decode(n *yaml.Node, v reflect.Value, field string) error {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	d.lines[field] = n.Line
	null := n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null"
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok && n.Kind == yaml.ScalarNode && !null {
		return d.wrap(u.UnmarshalText([]byte(n.Value)), n, field)
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]() && !null:
		return d.wrap(decodeDuration(n, v), n, field)
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.decode(n, v.Elem(), field)
	case v.Kind() == reflect.Struct && null:
		return nil
	case v.Kind() == reflect.Struct && n.Kind == yaml.MappingNode:
		return d.mapping(n, v, field)
	case v.Kind() == reflect.Slice && null:
		// Present and empty, which differs from absent.
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		return nil
	case v.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		return d.sequence(n.Content, v, field)
	case v.Kind() == reflect.Slice && n.Kind == yaml.ScalarNode && isScalar(v.Type().Elem()):
		return d.sequence([]*yaml.Node{n}, v, field) // a list of one value needs no brackets
	default:
		return d.wrap(n.Decode(v.Addr().Interface()), n, field)
	}
}

func decodeDuration(n *yaml.Node, v reflect.Value) error {
	var text string
	if err := n.Decode(&text); err != nil {
		return err
	}
	duration, err := model.ParseDuration(text)
	v.SetInt(int64(duration))
	return err
}

// isScalar reports whether a value of the type is a scalar in YAML.
func isScalar(t reflect.Type) bool {
	return t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func (d *decoder) sequence(items []*yaml.Node, v reflect.Value, field string) error {
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, item := range items {
		element := field + "[" + strconv.Itoa(i) + "]"
		if item.ShortTag() == "!!null" {
			return d.wrap(errors.New("is empty"), item, element)
		}
		if err := d.decode(item, v.Index(i), element); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, field string) error {
	seen := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		child := join(field, key.Value)
		if line, twice := seen[key.Value]; twice {
			return d.wrap(fmt.Errorf("is already set on line %d", line), key, child)
		}
		seen[key.Value] = key.Line
		target, ok := fieldOf(v, key.Value)
		if !ok {
			return d.wrap(errors.New("unknown field"), key, child)
		}
		if err := d.decode(value, target, child); err != nil {
			return err
		}
		d.lines[child] = key.Line
	}
	return nil
}

func join(field, name string) string {
	if field == "" {
		return name
	}
	return field + "." + name
}

func fieldOf(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == name && name != "-" {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func (d *decoder) wrap(err error, n *yaml.Node, field string) error {
	if err == nil {
		return nil
	}
	// Errors of yaml have the line themselves, and can be several at once.
	var wrong *yaml.TypeError
	if errors.As(err, &wrong) {
		_, text, _ := strings.Cut(wrong.Errors[0], ": ")
		err = errors.New(text)
	}
	if field == "" {
		field = "the whole file"
	}
	return &lineError{n.Line, &setting.Error{Field: field, Err: err}}
}

var syntaxLine = regexp.MustCompile(`^yaml: line (\d+): `)

// position returns the line of a syntax error, 0 if it has none, and the error without the line.
func position(err error) (int, string) {
	found := syntaxLine.FindStringSubmatch(err.Error())
	if found == nil {
		return 0, strings.TrimPrefix(err.Error(), "yaml: ")
	}
	n, _ := strconv.Atoi(found[1]) // digits
	return n, strings.TrimPrefix(err.Error(), found[0])
}
