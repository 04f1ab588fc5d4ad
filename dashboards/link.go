package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// searchURL is the search dashboard with time range and data sources filled in.
const searchURL = "/d/smithproxy-search?${__url_time_range}&${datasource:queryparam}"

// toConnections returns a link from a series to its traces. variables has the form of a URL query.
func toConnections(title, variables string) []cog.Builder[dashboard.DashboardLink] {
	return []cog.Builder[dashboard.DashboardLink]{
		dashboard.NewDashboardLinkBuilder(title).Type(dashboard.DashboardLinkTypeLink).Url(searchURL + "&" + variables),
	}
}

// toBoard returns a link to another dashboard, for the selected proxies.
func toBoard(title, board string) []cog.Builder[dashboard.DashboardLink] {
	return []cog.Builder[dashboard.DashboardLink]{
		dashboard.NewDashboardLinkBuilder(title).Type(dashboard.DashboardLinkTypeLink).
			Url("/d/" + uidPrefix + board + "?${__url_time_range}&${datasource:queryparam}&${source:queryparam}"),
	}
}

// panelMark precedes the title of a panel in a URL. The dashboard replaces both by the panel's id when it is built.
const panelMark = "panel:"

// toPanel returns a link to another panel of the same dashboard, which then fills the window.
func toPanel(board, panel string) []cog.Builder[dashboard.DashboardLink] {
	return []cog.Builder[dashboard.DashboardLink]{
		dashboard.NewDashboardLinkBuilder(panel).Type(dashboard.DashboardLinkTypeLink).
			Url("/d/" + uidPrefix + board + "?${__url_time_range}&${__all_variables}&viewPanel=" + panelMark + panel),
	}
}

// cellLink is toConnections for a column of a table.
func cellLink(title, url string) []map[string]any {
	return []map[string]any{{"title": title, "url": url}}
}

// ofProxy returns a link to the connections of the series' proxy.
func ofProxy() []cog.Builder[dashboard.DashboardLink] {
	return toConnections("Connections of ${__field.labels.source}", "var-source=${__field.labels.source}")
}

// chosen returns a link to the connections of the selected proxies.
func chosen(title, variables string) []cog.Builder[dashboard.DashboardLink] {
	return toConnections(title, "${source:queryparam}&"+variables)
}
