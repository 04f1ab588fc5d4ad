//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// dashboard is as much of Grafana's JSON as is asked about.
type dashboard struct {
	Panels     []panel `json:"panels"`
	Templating struct {
		List []variable `json:"list"`
	} `json:"templating"`
}

type panel struct {
	Title      string     `json:"title"`
	Datasource datasource `json:"datasource"`
	Panels     []panel    `json:"panels"` // of a row
	Targets    []struct {
		RefID      string     `json:"refId"`
		Datasource datasource `json:"datasource"`
		Expr       string     `json:"expr"`
	} `json:"targets"`
}

type datasource struct {
	Type string `json:"type"`
}

type variable struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Query   any    `json:"query"` // text, or an object with the text in query
	Current struct {
		Value any `json:"value"` // text, or a list of it
	} `json:"current"`
}

// value is what a variable stands for when the dashboard is opened: everything, or its own choice.
func (v variable) value() string {
	if text, ok := v.Current.Value.(string); ok && text != "" && text != "$__all" {
		return text
	}
	return ".*"
}

func (v variable) text() string {
	switch q := v.Query.(type) {
	case string:
		return q
	case map[string]any:
		text, _ := q["query"].(string)
		return text
	}
	return ""
}

// ranges are Grafana's own variables, for a test that has seen less than a minute.
var ranges = map[string]string{
	"__rate_interval": "1m", "__interval": "15s", "__range": "5m", "__interval_ms": "15000", "__range_s": "300", "__range_ms": "300000",
}

// variableName is $name, ${name} or ${name:format}.
var variableName = regexp.MustCompile(`\$(?:(\w+)|\{(\w+)(?::\w+)?\})`)

// expand puts values in the place of variables.
func (d dashboard) expand(expr string) string {
	return variableName.ReplaceAllStringFunc(expr, func(found string) string {
		parts := variableName.FindStringSubmatch(found)
		name := parts[1] + parts[2]
		if value, ok := ranges[name]; ok {
			return value
		}
		for _, v := range d.Templating.List {
			if v.Name == name {
				return v.value()
			}
		}
		return found // and Prometheus will refuse it
	})
}

// labelValues is the query of a variable whose values are those of a label.
var labelValues = regexp.MustCompile(`^label_values\((.+),\s*\w+\)$`)

// queries are the PromQL of all panels and variables, by where they are.
func (d dashboard) queries() map[string]string {
	found := map[string]string{}
	var walk func([]panel)
	walk = func(panels []panel) {
		for _, p := range panels {
			for _, target := range p.Targets {
				kind := target.Datasource.Type
				if kind == "" {
					kind = p.Datasource.Type
				}
				if target.Expr != "" && (kind == "" || kind == "prometheus") {
					found[p.Title+", "+target.RefID] = target.Expr
				}
			}
			walk(p.Panels)
		}
	}
	walk(d.Panels)
	for _, v := range d.Templating.List {
		if parts := labelValues.FindStringSubmatch(v.text()); parts != nil {
			found["variable "+v.Name] = parts[1]
		}
	}
	return found
}

// dashboards asks Prometheus every query of every panel: on a healthy system none is empty.
func (s *servers) dashboards(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "dashboards", "grafana", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("there are no dashboards")
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(content, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) { s.dashboard(t, d) })
	}
}

func (s *servers) dashboard(t *testing.T, d dashboard) {
	for where, expr := range d.queries() {
		expr = d.expand(expr)
		eventually(t, 30*time.Second, where, func() error {
			names, err := s.names()
			if err != nil {
				return err
			}
			if err := errors.Join(s.some(expr), unknown(expr, names)); err != nil {
				return errors.Join(err, errors.New(expr))
			}
			return nil
		}, s.processes...)
	}
}
