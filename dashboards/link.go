package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// The search dashboard with what a panel shows filled in: its traces.
const searchURL = "/d/smithproxy-search?${__url_time_range}&${datasource:queryparam}"

// toConnections leads from a series to the traces behind it. variables are as in a URL.
func toConnections(title, variables string) []cog.Builder[dashboard.DashboardLink] {
	return []cog.Builder[dashboard.DashboardLink]{
		dashboard.NewDashboardLinkBuilder(title).Type(dashboard.DashboardLinkTypeLink).Url(searchURL + "&" + variables),
	}
}

// cellLink is toConnections for a column of a table.
func cellLink(title, url string) []map[string]any {
	return []map[string]any{{"title": title, "url": url}}
}

// ofProxy leads to the connections of the proxy that a series is about.
func ofProxy() []cog.Builder[dashboard.DashboardLink] {
	return toConnections("Connections of ${__field.labels.source}", "var-source=${__field.labels.source}")
}

// chosen leads to the connections of the proxies that are chosen.
func chosen(title, variables string) []cog.Builder[dashboard.DashboardLink] {
	return toConnections(title, "${source:queryparam}&"+variables)
}
