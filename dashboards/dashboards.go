// Package dashboards is the Grafana dashboards as code: a file a dashboard, and what they share. The
// JSON in grafana/ is made of it; change the code, never the JSON.
package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// all are the dashboards, in the order in which they link to each other.
var all = []func() *board{fleet, traffic, hosts, access, exporter, search}

// Files returns the JSON of every dashboard by the name of its file.
func Files() (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, build := range all {
		b := build()
		d, err := b.build()
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", b.title, err)
		}
		text, err := encode(d)
		if err != nil {
			return nil, fmt.Errorf("dashboard %s: %w", b.title, err)
		}
		files[b.uid[len(uidPrefix):]+".json"] = text
	}
	return files, nil
}

// encode writes what a person can read in a diff.
func encode(d model) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(d); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// links lead to the other dashboards and keep what was chosen. That a dashboard links to itself too
// keeps every link in its place.
func links() []dashboard.DashboardLink {
	var list []dashboard.DashboardLink
	for _, build := range all {
		b := build()
		url := "/d/" + b.uid
		list = append(list, dashboard.DashboardLink{
			Title: b.link, Type: dashboard.DashboardLinkTypeLink, Icon: "dashboard", Url: &url,
			Tooltip: b.description, Tags: []string{}, KeepTime: true, IncludeVars: true,
		})
	}
	return list
}
