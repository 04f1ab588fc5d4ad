package dashboards

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
)

// jaegerSearch returns the dashboard that finds single connections in Jaeger.
func jaegerSearch() *board {
	return &board{
		uid: uidPrefix + "jaeger", title: "Connection search in Jaeger", link: "Jaeger",
		description: "Single connections by exact tags, from Jaeger.",
		variables: []variable{
			prometheusSource(), dataSource("jaeger", "jaeger", "Jaeger"), proxies(),
			textBox("tags", "Tags", "Exact, as client.address=10.0.0.7 smithproxy.access.rule=no-mail", ""),
		},
		rows: []row{{panels: []panel{
			tagged("Connections", "Connections with the tags given above; without tags, the latest of all proxies. The trace id links to the trace.", 12, ""),
			tagged("Rejected", "Rejected connections with the tags given above.", 9, "smithproxy.close.reason=rejected"),
			tagged("End unknown", "Connections with an unknown end and the tags given above.", 9, "error=true"),
		}}},
	}
}

func tagged(title, description string, h uint32, tags string) panel {
	return traces(about{title: title, description: description, w: columns, h: h}).Datasource(jaeger).
		Targets([]cog.Builder[variants.Dataquery]{traceQuery(jaegerQuery{
			RefID: "A", Datasource: jaeger, QueryType: "search", Service: "smithproxy", Limit: searchLimit,
			Tags: strings.TrimSpace("${tags} " + tags),
		})})
}
