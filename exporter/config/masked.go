package config

import (
	"encoding"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

// mask replaces a secret.
const mask = "<secret>"

// Masked returns the configuration as YAML, defaults included, in which fields with the tag `secret:"true"` and passwords
// in URLs are replaced.
func (c Config) Masked() (string, error) {
	node, err := toNode(reflect.ValueOf(c), false)
	if err != nil {
		return "", err
	}
	text, err := yaml.Marshal(node)
	if err != nil {
		return "", fmt.Errorf("configuration: %w", err)
	}
	return string(text), nil
}

// toNode returns a value as YAML, nil for what is absent.
func toNode(v reflect.Value, secret bool) (*yaml.Node, error) {
	switch {
	case v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice || v.Kind() == reflect.Map:
		if v.IsNil() {
			return nil, nil
		}
	case v.Kind() == reflect.String && secret && v.String() == "":
		return nil, nil
	}
	if text, ok := scalarText(v); ok {
		return scalarNode(text, v.Kind() != reflect.String, secret), nil
	}
	switch v.Kind() {
	case reflect.Pointer:
		return toNode(v.Elem(), secret)
	case reflect.Slice:
		node := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			item, err := toNode(v.Index(i), secret)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, item)
		}
		if v.Len() > 0 && isScalar(v.Type().Elem()) {
			node.Style = yaml.FlowStyle
		}
		return node, nil
	case reflect.Map:
		node := &yaml.Node{Kind: yaml.MappingNode}
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			value, err := toNode(v.MapIndex(key), secret)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, scalarNode(key.String(), false, false), value)
		}
		return node, nil
	case reflect.Struct:
		return structNode(v)
	}
	return nil, fmt.Errorf("configuration: a %v cannot be shown", v.Type())
}

func structNode(v reflect.Value) (*yaml.Node, error) {
	node := &yaml.Node{Kind: yaml.MappingNode}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		value, err := toNode(v.Field(i), field.Tag.Get("secret") == "true")
		if err != nil {
			return nil, err
		}
		// An empty text is the default of settings that have none.
		if value == nil || v.Field(i).Kind() == reflect.String && v.Field(i).String() == "" {
			continue
		}
		node.Content = append(node.Content, scalarNode(name, false, false), value)
	}
	return node, nil
}

// scalarText returns the text of a value that is one in YAML.
func scalarText(v reflect.Value) (text string, ok bool) {
	if d, ok := v.Interface().(time.Duration); ok {
		return model.Duration(d).String(), true
	}
	if s, ok := v.Interface().(fmt.Stringer); ok && reflect.PointerTo(v.Type()).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return s.String(), true
	}
	switch v.Kind() {
	case reflect.String:
		return v.String(), true
	case reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint16, reflect.Float64:
		return fmt.Sprint(v.Interface()), true
	}
	return "", false
}

// scalarNode returns a text; plain is one whose type YAML finds out.
func scalarNode(text string, plain, secret bool) *yaml.Node {
	if secret {
		text = mask
	} else if u, err := url.Parse(text); err == nil && u.User != nil {
		text = u.Redacted()
	}
	node := &yaml.Node{Kind: yaml.ScalarNode, Value: text}
	if !plain {
		node.SetString(text)
	}
	return node
}
