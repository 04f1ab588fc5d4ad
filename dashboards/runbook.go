package dashboards

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"smithproxy_exporter/alerts"
)

// runbookSections gives each alert the name of its section in the runbooks, which is in lower case.
func runbookSections() []dashboard.ValueMapping {
	rules, err := alerts.Rules()
	if err != nil {
		panic(err) // the rules are part of the program, and tests read them
	}
	sections := map[string]dashboard.ValueMappingResult{}
	for _, r := range rules {
		if r.Alert != "" {
			text := strings.ToLower(r.Alert)
			sections[r.Alert] = dashboard.ValueMappingResult{Text: &text}
		}
	}
	return named(sections)
}
