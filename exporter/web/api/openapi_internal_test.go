package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"smithproxy_exporter/docs"
)

// schema is as much of a JSON schema as the description uses.
type schema struct {
	Ref        string             `yaml:"$ref"`
	Type       string             `yaml:"type"`
	Format     string             `yaml:"format"`
	Enum       []string           `yaml:"enum"`
	Items      *schema            `yaml:"items"`
	Required   []string           `yaml:"required"`
	Closed     *bool              `yaml:"additionalProperties"` // false
	Properties map[string]*schema `yaml:"properties"`
}

// description is docs/openapi.yaml.
type description struct {
	OpenAPI string `yaml:"openapi"`
	Paths   map[string]map[string]struct {
		Summary    string
		Parameters []struct {
			Ref  string `yaml:"$ref"`
			Name string
			In   string
		}
		Responses map[string]struct {
			Ref     string `yaml:"$ref"`
			Content map[string]struct{ Schema schema }
		}
	}
	Components struct {
		Parameters map[string]struct{ Name, In string }
		Schemas    map[string]*schema
	}
}

func describe(t *testing.T) description {
	t.Helper()
	var d description
	if err := yaml.Unmarshal(docs.OpenAPI, &d); err != nil {
		t.Fatal(err)
	}
	if d.OpenAPI != "3.1.0" {
		t.Errorf("the version is %q", d.OpenAPI)
	}
	return d
}

// TestRoutesAreDescribed: each route has its path in the description, and the other way round.
func TestRoutesAreDescribed(t *testing.T) {
	d := describe(t)
	var described, served []string
	for path, methods := range d.Paths {
		for method, operation := range methods {
			described = append(described, strings.ToUpper(method)+" "+path)
			if operation.Summary == "" || len(operation.Responses) == 0 {
				t.Errorf("%s %s has no summary or no responses", method, path)
			}
			for _, part := range strings.Split(path, "/") {
				name := strings.Trim(part, "{}")
				if name == part {
					continue
				}
				found := false
				for _, p := range operation.Parameters {
					found = found || p.Name == name && p.In == "path"
				}
				if !found {
					t.Errorf("%s does not describe {%s}", path, name)
				}
			}
		}
	}
	for _, r := range new(API).routes() {
		served = append(served, r.pattern)
	}
	slices.Sort(described)
	slices.Sort(served)
	if !slices.Equal(described, served) {
		t.Errorf("described are\n%s\nserved are\n%s", strings.Join(described, "\n"), strings.Join(served, "\n"))
	}
}

// TestParametersAreDescribed: the parameters of searches are those that are parsed.
func TestParametersAreDescribed(t *testing.T) {
	d := describe(t)
	want := slices.Sorted(slices.Values(append([]string{"q", "limit", "cursor", "format"}, shorthands...)))
	var got []string
	for _, p := range d.Paths["/api/v1/connections"]["get"].Parameters {
		name := p.Name
		if p.Ref != "" {
			name = d.Components.Parameters[strings.TrimPrefix(p.Ref, "#/components/parameters/")].Name
		}
		got = append(got, name)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("described are %v, parsed are %v", got, want)
	}
}

// types are the types of the schemas.
var types = map[string]any{
	"Overview": Overview{}, "Attention": Attention{}, "Proxy": Proxy{}, "Activity": Activity{}, "Series": Series{},
	"ConnectionPage": ConnectionPage{}, "Connection": Connection{}, "Directions": Directions{}, "Sinkhole": Sinkhole{}, "Verdict": Verdict{},
	"ConnectionDetail": ConnectionDetail{}, "TimelineEvent": TimelineEvent{}, "Access": Access{}, "Rule": Rule{}, "AccessList": AccessList{},
	"Decision": Decision{}, "TryRequest": TryRequest{}, "TryResult": TryResult{}, "PassedRule": PassedRule{}, "Mismatch": Mismatch{},
	"Top": Top{}, "TopRow": TopRow{}, "Status": Status{}, "Reload": Reload{}, "Storage": Storage{}, "HistoryStatus": HistoryStatus{},
	"Queue": Queue{}, "Listener": Listener{}, "Setup": Setup{}, "SetupSecret": SetupSecret{}, "Missed": Missed{}, "Error": problem{},
}

// TestSchemas compares the schemas with the types: properties, their types, and which are required.
func TestSchemas(t *testing.T) {
	d := describe(t)
	for name := range d.Components.Schemas {
		if _, ok := types[name]; !ok {
			t.Errorf("schema %s has no type", name)
		}
	}
	for name, value := range types {
		s, ok := d.Components.Schemas[name]
		if !ok {
			t.Errorf("%s has no schema", name)
			continue
		}
		want := schemaOf(reflect.TypeOf(value))
		if s.Type != "object" || s.Closed == nil || *s.Closed {
			t.Errorf("%s is not a closed object", name)
		}
		for property := range want.Properties {
			if s.Properties[property] == nil {
				t.Errorf("%s.%s is not described", name, property)
			}
		}
		for property, described := range s.Properties {
			field, ok := want.Properties[property]
			if !ok {
				t.Errorf("%s.%s does not exist", name, property)
				continue
			}
			if got, want := described.String(), field.String(); got != want {
				t.Errorf("%s.%s is described as %s, but is %s", name, property, got, want)
			}
		}
		slices.Sort(want.Required)
		if required := slices.Sorted(slices.Values(s.Required)); !slices.Equal(required, want.Required) {
			t.Errorf("%s requires %v, but always has %v", name, required, want.Required)
		}
	}
}

func (s *schema) String() string {
	switch {
	case s.Ref != "":
		return strings.TrimPrefix(s.Ref, "#/components/schemas/")
	case s.Type == "array":
		return "array of " + s.Items.String()
	default:
		return strings.TrimSpace(s.Type + " " + s.Format)
	}
}

// schemaOf returns the schema of a type.
func schemaOf(t reflect.Type) *schema {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return &schema{Type: "string", Format: "date-time"}
	case t.Kind() == reflect.Pointer:
		return referenceOf(t.Elem())
	case t.Kind() == reflect.Slice:
		return &schema{Type: "array", Items: referenceOf(t.Elem())}
	case t.Kind() == reflect.String:
		return &schema{Type: "string"}
	case t.Kind() == reflect.Bool:
		return &schema{Type: "boolean"}
	case t.Kind() == reflect.Float64:
		return &schema{Type: "number"}
	case t.Kind() != reflect.Struct:
		return &schema{Type: "integer"}
	}
	s := &schema{Type: "object", Properties: map[string]*schema{}}
	for i := range t.NumField() {
		field := t.Field(i)
		if field.Anonymous {
			embedded := schemaOf(field.Type)
			maps.Copy(s.Properties, embedded.Properties)
			s.Required = append(s.Required, embedded.Required...)
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		s.Properties[name] = referenceOf(field.Type)
		if options == "" {
			s.Required = append(s.Required, name)
		}
	}
	return s
}

// referenceOf is the schema of a type, or its name.
func referenceOf(t reflect.Type) *schema {
	for name, value := range types {
		if reflect.TypeOf(value) == t {
			return &schema{Ref: "#/components/schemas/" + name}
		}
	}
	return schemaOf(t)
}

// CheckResponse compares a response with its schema; it is for the tests of handlers.
func CheckResponse(t *testing.T, method, path, status string, body []byte) {
	t.Helper()
	d := describe(t)
	response, ok := d.Paths[path][strings.ToLower(method)].Responses[status]
	if !ok {
		t.Fatalf("%s %s does not describe %s", method, path, status)
	}
	s := response.Content["application/json"].Schema
	if response.Ref != "" {
		s = schema{Ref: "#/components/schemas/" + strings.TrimPrefix(response.Ref, "#/components/responses/")}
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	for _, problem := range d.compare(&s, value, path) {
		t.Error(problem)
	}
}

// compare returns where a value differs from its schema.
func (d *description) compare(s *schema, value any, at string) (problems []string) {
	if s.Ref != "" {
		name := strings.TrimPrefix(s.Ref, "#/components/schemas/")
		if d.Components.Schemas[name] == nil {
			return []string{fmt.Sprintf("%s: there is no schema %s", at, name)}
		}
		return d.compare(d.Components.Schemas[name], value, at)
	}
	wrong := func() []string { return []string{fmt.Sprintf("%s is %v, want %s", at, value, s)} }
	switch v := value.(type) {
	case map[string]any:
		if s.Type != "object" {
			return wrong()
		}
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				problems = append(problems, fmt.Sprintf("%s has no %s", at, name))
			}
		}
		for name, element := range v {
			property, ok := s.Properties[name]
			if !ok {
				problems = append(problems, fmt.Sprintf("%s.%s is not described", at, name))
				continue
			}
			problems = append(problems, d.compare(property, element, at+"."+name)...)
		}
	case []any:
		if s.Type != "array" {
			return wrong()
		}
		for i, element := range v {
			problems = append(problems, d.compare(s.Items, element, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case string:
		if s.Type != "string" || len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
			return wrong()
		}
		if _, err := time.Parse(time.RFC3339Nano, v); s.Format == "date-time" && err != nil {
			return wrong()
		}
	case float64:
		if s.Type != "number" && (s.Type != "integer" || v != float64(int64(v))) {
			return wrong()
		}
	case bool:
		if s.Type != "boolean" {
			return wrong()
		}
	default:
		return wrong()
	}
	return problems
}
