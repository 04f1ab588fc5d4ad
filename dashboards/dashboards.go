// Package dashboards defines the Grafana dashboards, one file for each. It generates the JSON in grafana/, which is
// never edited by hand.
package dashboards

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// all are the dashboards, in the order in which they link to each other.
var all = []func() *board{fleet, traffic, hosts, access, exporter, search, jaegerSearch}

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

// encode returns indented JSON, so that diffs are readable.
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

// links returns links to all dashboards that keep time range and variables. A dashboard also links to itself, so that
// each link has the same place on all dashboards.
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
