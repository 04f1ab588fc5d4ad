package config

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// decoder reads YAML into a struct as yaml.Decoder with KnownFields does, but says of every error which line
// and which field it is in, and remembers for later errors where each field was.
type decoder struct{ lines map[string]int }

// decode reads n into v. A field is as in `rules[2].port`.
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
		// Written and empty, which is not the same as left out.
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		return nil
	case v.Kind() == reflect.Slice && n.Kind == yaml.SequenceNode:
		return d.sequence(n.Content, v, field)
	case v.Kind() == reflect.Slice && n.Kind == yaml.ScalarNode && isScalar(v.Type().Elem()):
		return d.sequence([]*yaml.Node{n}, v, field) // one value needs no brackets
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

// isScalar reports whether a value of the type is written as a scalar.
func isScalar(t reflect.Type) bool {
	return t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func (d *decoder) sequence(items []*yaml.Node, v reflect.Value, field string) error {
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, item := range items {
		of := field + "[" + strconv.Itoa(i) + "]"
		if item.ShortTag() == "!!null" {
			return d.wrap(errors.New("is empty"), item, of)
		}
		if err := d.decode(item, v.Index(i), of); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, field string) error {
	seen := map[string]int{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		of := join(field, key.Value)
		if line, twice := seen[key.Value]; twice {
			return d.wrap(fmt.Errorf("is already defined in line %d", line), key, of)
		}
		seen[key.Value] = key.Line
		target, ok := fieldOf(v, key.Value)
		if !ok {
			return d.wrap(errors.New("there is no such field"), key, of)
		}
		if err := d.decode(value, target, of); err != nil {
			return err
		}
		d.lines[of] = key.Line
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
	// yaml says the line itself, and more than one thing at a time.
	var wrong *yaml.TypeError
	if errors.As(err, &wrong) {
		_, text, _ := strings.Cut(wrong.Errors[0], ": ")
		err = errors.New(text)
	}
	if field == "" {
		field = "the whole file"
	}
	return &fieldError{field, n.Line, err}
}

var syntaxLine = regexp.MustCompile(`^yaml: line (\d+): `)

// position returns the line that a syntax error is in, 0 if it says none, and the error without it.
func position(err error) (int, string) {
	found := syntaxLine.FindStringSubmatch(err.Error())
	if found == nil {
		return 0, strings.TrimPrefix(err.Error(), "yaml: ")
	}
	n, _ := strconv.Atoi(found[1]) // digits
	return n, strings.TrimPrefix(err.Error(), found[0])
}
