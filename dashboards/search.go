package dashboards

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/table"
)

// search returns the dashboard that finds single connections.
func search() *board {
	return &board{
		uid: uidPrefix + "search", title: "Connection search", link: "Search",
		description: "Single connections by client, server, app, verdict and close reason, from Tempo or Jaeger.",
		variables: []variable{
			prometheusSource(), dataSource("tempo", "tempo", "Tempo"), dataSource("jaeger", "jaeger", "Jaeger"), proxies(),
			textBox("client", "Client", "Regular expression for the client's address", ".*"),
			textBox("server", "Server", "Regular expression for the server's name or address", ".*"),
			textBox("app", "App", "Regular expression for the span's name: the app, else the transport", ".*"),
			textBox("verdict", "Verdict", "Regular expression: accept, reject", ".*"),
			textBox("reason", "Reason", "Regular expression: stop, rejected, lost, restart, evicted", ".*"),
			textBox("entropy", "Entropy from", "Least upload entropy in bits per byte", "7.8"),
			textBox("bytes", "Bytes from", "Least upload in bytes", "1000000"),
			textBox("tags", "Jaeger tags", "Exact, as client.address=10.0.0.7 server.address=example.org", ""),
		},
		rows: []row{
			{panels: []panel{searchHelp()}},
			{title: "Tempo", panels: tempoTables()},
			{title: "Jaeger", collapsed: true, panels: jaegerTables()},
		},
	}
}

func searchHelp() panel {
	return note(about{title: "How to search", description: "How to use the fields above, and how to find the trace of a log line.", w: 24, h: 5}, strings.TrimSpace(`
**Tempo**: fields are regular expressions that match the whole value; `+"`.*`"+` matches any, `+"`10[.]1[.].*`"+` a network, `+"`.*example[.]org`"+` a domain. **Jaeger**: open its row; it takes tags with exact values, such as `+"`client.address=10.0.0.7 smithproxy.close.reason=rejected`"+`.

A log line of a proxy names a connection: `+"`smithproxy_exporter trace-id SOURCE ID`"+` prints the id of its trace, and so does `+"`printf %s SOURCE/ID | sha256sum | cut -c1-32`"+`. Tempo and Jaeger open it in Explore.`))
}

// ofProxies is the part that every search has: spans of the selected proxies.
const ofProxies = `resource.service.name="smithproxy" && resource.service.instance.id=~"${source:pipe}"`

func tempoTables() []panel {
	const (
		ends = ` && span.client.address=~"$client" && span.server.address=~"$server" && name=~"$app"`
		all  = ends + ` && span.smithproxy.close.reason=~"$reason"`
	)
	return []panel{
		found("Connections", "Connections by client, server, app and close reason. The trace id links to the trace.", 10, all),
		found("By verdict", "Connections with an access-request, by verdict, with the rule that decided.", 8,
			all+` && span.smithproxy.access.verdict=~"$verdict" && span.smithproxy.access.rule!=""`),
		found("Rejected", "Rejected connections, with the rule that decided.", 8,
			ends+` && span.smithproxy.close.reason="rejected"`),
		found("End unknown", "Connections whose end is not known: no stop was received, the proxy restarted, or the exporter had more connections than connections.max_open or connections.max_open_total.", 8,
			ends+` && span.smithproxy.close.reason=~"lost|restart|evicted"`),
		found("High-entropy uploads", "Connections whose upload has at least the entropy given above.", 8,
			ends+` && span.smithproxy.entropy.up>=$entropy`),
		found("Large uploads", "Connections whose upload has at least the bytes given above.", 8,
			ends+` && span.smithproxy.bytes.up>=$bytes`),
		found("Long connections", "Connections of ten minutes or more.", 8,
			ends+` && duration>=10m`),
	}
}

// found returns a table of the traces that match a TraceQL condition. Its columns are the attributes in the
// condition.
func found(title, description string, h uint32, condition string) panel {
	return traces(about{title: title, description: description, w: columns, h: h}).Datasource(tempo).
		Targets([]cog.Builder[variants.Dataquery]{traceQuery(tempoQuery{
			RefID: "A", Datasource: tempo, QueryType: "traceql", Limit: searchLimit, TableType: "traces",
			Query: "{ " + ofProxies + condition + " }", Filters: []any{},
		})})
}

func jaegerTables() []panel {
	return []panel{
		tagged("Connections", "Connections with the Jaeger tags given above; without tags, the latest. The trace id links to the trace.", 10, ""),
		tagged("Rejected", "Rejected connections with the tags given above.", 8, "smithproxy.close.reason=rejected"),
		tagged("End unknown", "Connections with an unknown end and the tags given above.", 8, "error=true"),
	}
}

func tagged(title, description string, h uint32, tags string) panel {
	return traces(about{title: title, description: description, w: columns, h: h}).Datasource(jaeger).
		Targets([]cog.Builder[variants.Dataquery]{traceQuery(jaegerQuery{
			RefID: "A", Datasource: jaeger, QueryType: "search", Service: "smithproxy", Limit: searchLimit,
			Tags: strings.TrimSpace("${tags} " + tags),
		})})
}

func traces(a about) *table.PanelBuilder {
	a.unit = "none"
	return show(table.NewPanelBuilder(), a).ShowHeader(true).Footer(noFooter()).
		NoValue("no such connection in the time range")
}

const searchLimit = 50
