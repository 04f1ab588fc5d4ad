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

// labelValues returns a variable for any number of a label's values. "All" is a regular expression instead of a list: it
// also matches an empty label, and keeps the URL short.
func labelValues(name, label, selector, of string) variable {
	definition := "label_values(" + selector + ", " + of + ")"
	return dashboard.NewQueryVariableBuilder(name).Label(label).Datasource(metrics).
		Definition(definition).
		Query(dashboard.StringOrMap{Map: map[string]any{"query": definition, "refId": "StandardVariableQuery"}}).
		Multi(true).IncludeAll(true).AllValue(".*").Current(option("All", "$__all")).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalCaseInsensitiveAsc)
}

// choice returns a variable with one of a few values. The first is the default.
func choice(name, label string, values ...string) variable {
	options := make([]dashboard.VariableOption, len(values))
	for i, v := range values {
		options[i] = option(v, v)
		selected := i == 0
		options[i].Selected = &selected
	}
	return dashboard.NewCustomVariableBuilder(name).Label(label).Values(str(strings.Join(values, ","))).
		Options(options).Current(option(values[0], values[0]))
}

// textBox returns a variable that the user types.
func textBox(name, label, description, value string) variable {
	return dashboard.NewTextBoxVariableBuilder(name).Label(label).Description(description).
		DefaultValue(str(value)).Current(option(value, value)).
		Options([]dashboard.VariableOption{option(value, value)})
}
