//go:build e2e

package e2e

import (
	"regexp"
	"strings"
)

// dashboard is as much of Grafana's JSON as is asked about.
type dashboard struct {
	Panels     []panel `json:"panels"`
	Templating struct {
		List []variable `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []struct {
			Name string `json:"name"`
			Expr string `json:"expr"`
		} `json:"list"`
	} `json:"annotations"`
}

type panel struct {
	Title      string     `json:"title"`
	Datasource datasource `json:"datasource"`
	Panels     []panel    `json:"panels"` // of a row
	Targets    []struct {
		RefID      string     `json:"refId"`
		Datasource datasource `json:"datasource"`
		Expr       string     `json:"expr"`
		Instant    bool       `json:"instant"`
		Query      string     `json:"query"`
		Tags       string     `json:"tags"`
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

// chosen are Grafana's own variables and choices of the user, for a scenario of less than a minute.
var chosen = map[string]string{"__rate_interval": "10s", "__interval": "15s", "__range": "5m", "top": "1"}

// variableName is $name, ${name} or ${name:format}.
var variableName = regexp.MustCompile(`\$(?:(\w+)|\{(\w+)(?::\w+)?\})`)

// before are times to compare with that the scenario has.
var before = strings.NewReplacer(" offset 1d", " offset 2s", " offset 1w", " offset 4s")

// expand puts values in the place of variables.
func (d dashboard) expand(expr string) string {
	return variableName.ReplaceAllStringFunc(before.Replace(expr), func(found string) string {
		parts := variableName.FindStringSubmatch(found)
		name := parts[1] + parts[2]
		if value, ok := chosen[name]; ok {
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
var labelValues = regexp.MustCompile(`^label_values\((.+),\s*(\w+)\)$`)

// question is a query of a dashboard.
type question struct {
	expr    string
	instant bool
	label   string // of a variable, whose values are those of this label
}

// queries are the PromQL of all panels, variables and annotations, by where they are.
func (d dashboard) queries() map[string]question {
	found := map[string]question{}
	var walk func([]panel)
	walk = func(panels []panel) {
		for _, p := range panels {
			for _, target := range p.Targets {
				kind := target.Datasource.Type
				if kind == "" {
					kind = p.Datasource.Type
				}
				if target.Expr != "" && (kind == "" || kind == "prometheus") {
					found[p.Title+"/"+target.RefID] = question{expr: target.Expr, instant: target.Instant}
				}
			}
			walk(p.Panels)
		}
	}
	walk(d.Panels)
	for _, v := range d.Templating.List {
		if parts := labelValues.FindStringSubmatch(v.text()); parts != nil {
			found["variable "+v.Name] = question{expr: parts[1], instant: true, label: parts[2]}
		}
	}
	for _, a := range d.Annotations.List {
		found["annotation "+a.Name] = question{expr: a.Expr}
	}
	return found
}

// tags are the tags of the searches in Jaeger, by where they are.
func (d dashboard) tags() map[string]map[string]string {
	found := map[string]map[string]string{}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			if target.Datasource.Type != "jaeger" {
				continue
			}
			tags := map[string]string{}
			for pair := range strings.FieldsSeq(strings.ReplaceAll(target.Tags, "${tags}", "")) {
				name, value, _ := strings.Cut(pair, "=")
				tags[name] = value
			}
			found[p.Title+"/"+target.RefID] = tags
		}
	}
	return found
}
