package dashboards

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

type variable = cog.Builder[dashboard.VariableModel]

func str(s string) dashboard.StringOrMap { return dashboard.StringOrMap{String: &s} }

func option(label, value string) dashboard.VariableOption {
	yes := true
	return dashboard.VariableOption{
		Selected: &yes,
		Text:     dashboard.StringOrArrayOfString{String: &label},
		Value:    dashboard.StringOrArrayOfString{String: &value},
	}
}

func dataSource(name, kind, label string) variable {
	return dashboard.NewDatasourceVariableBuilder(name).Type(kind).Label(label)
}

func prometheusSource() variable { return dataSource("datasource", "prometheus", "Metrics") }

// proxies returns the variable source, which all dashboards share.
func proxies() variable {
	return labelValues("source", "Proxy", "smithproxy_pings_total", "source")
}

// runbooks returns the hidden variable with the address that the alert rules have for runbooks.
func runbooks() variable {
	return ofLabel("runbooks", "Runbooks", "smithproxy:links", "runbooks").Hide(dashboard.VariableHideHideVariable)
}

// labelValues returns a variable for any number of a label's values. "All" is a regular expression instead of a list: it
// also matches an empty label, and keeps the URL short.
func labelValues(name, label, selector, of string) variable {
	return ofLabel(name, label, selector, of).
		Multi(true).IncludeAll(true).AllValue(".*").Current(option("All", "$__all"))
}

// ofLabel returns a variable for one of a label's values.
func ofLabel(name, label, selector, of string) *dashboard.QueryVariableBuilder {
	definition := "label_values(" + selector + ", " + of + ")"
	return dashboard.NewQueryVariableBuilder(name).Label(label).Datasource(metrics).
		Definition(definition).
		Query(dashboard.StringOrMap{Map: map[string]any{"query": definition, "refId": "StandardVariableQuery"}}).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalCaseInsensitiveAsc)
}

// choice returns a variable with one of a few values. The first is the default.
func choice(name, label string, values ...string) variable {
	list := make([]meaning, len(values))
	for i, v := range values {
		list[i] = meaning{v, v}
	}
	return choiceOf(name, label, list...)
}

// meaning is a value of a choice with the text that stands for it. A link may name either.
type meaning struct{ text, value string }

// choiceOf returns a variable with one of a few texts, each of which stands for a value without comma. The first is the
// default.
func choiceOf(name, label string, meanings ...meaning) variable {
	options, pairs := make([]dashboard.VariableOption, len(meanings)), make([]string, len(meanings))
	for i, m := range meanings {
		options[i], pairs[i] = option(m.text, m.value), m.text+" : "+m.value
		selected := i == 0
		options[i].Selected = &selected
	}
	return dashboard.NewCustomVariableBuilder(name).Label(label).Values(str(strings.Join(pairs, ","))).
		Options(options).Current(options[0])
}

// textBox returns a variable that the user types.
func textBox(name, label, description, value string) variable {
	return dashboard.NewTextBoxVariableBuilder(name).Label(label).Description(description).
		DefaultValue(str(value)).Current(option(value, value)).
		Options([]dashboard.VariableOption{option(value, value)})
}
