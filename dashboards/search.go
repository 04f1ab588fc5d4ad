package dashboards

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/table"
)

// search: what became of this connection?
func search() *board {
	return &board{
		uid: uidPrefix + "search", title: "Connection search", link: "Search",
		description: "Single connections by client, server, app, verdict and reason, from Tempo or from Jaeger.",
		variables: []variable{
			prometheusSource(), dataSource("tempo", "tempo", "Tempo"), dataSource("jaeger", "jaeger", "Jaeger"), proxies(),
			textBox("client", "Client", "Pattern of the client's address", ".*"),
			textBox("server", "Server", "Pattern of the server's name or address", ".*"),
			textBox("app", "App", "Pattern of the span's name: the app, else the transport", ".*"),
			textBox("verdict", "Verdict", "Pattern: accept, reject", ".*"),
			textBox("reason", "Reason", "Pattern: stop, rejected, lost, restart, evicted", ".*"),
			textBox("entropy", "Entropy from", "Bits per byte of what the client sent", "7.8"),
			textBox("bytes", "Bytes from", "Payload that the client sent", "1000000"),
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
	return note(about{title: "How to search", description: "What the fields above do, and how a log line leads to its trace.", w: 24, h: 5}, strings.TrimSpace(`
**Tempo**: fields are patterns that match the whole value; `+"`.*`"+` is any, `+"`10[.]1[.].*`"+` a network, `+"`.*example[.]org`"+` a domain. **Jaeger**: open its row; it takes tags, each the exact value, such as `+"`client.address=10.0.0.7 smithproxy.close.reason=rejected`"+`.

A log line of a proxy names a connection: `+"`smithproxy_exporter trace-id SOURCE ID`"+` prints the id of its trace, and so does `+"`printf %s SOURCE/ID | sha256sum | cut -c1-32`"+`. Tempo and Jaeger open it in Explore.`))
}

// ofProxies is what every search has: root spans of the chosen proxies.
const ofProxies = `resource.service.name="smithproxy" && resource.service.instance.id=~"${source:pipe}"`

func tempoTables() []panel {
	const (
		ends = ` && span.client.address=~"$client" && span.server.address=~"$server" && name=~"$app"`
		all  = ends + ` && span.smithproxy.close.reason=~"$reason"`
	)
	return []panel{
		found("Connections", "By client, server, app and reason. A trace id leads to the trace.", 10, all),
		found("By verdict", "Connections that an access-request decided about, by the verdict, and the rule that gave it.", 8,
			all+` && span.smithproxy.access.verdict=~"$verdict" && span.smithproxy.access.rule!=""`),
		found("Rejected", "Connections that an access-request refused, and the rule that did.", 8,
			ends+` && span.smithproxy.close.reason="rejected"`),
		found("End unknown", "Connections whose end is not known: no stop was received, the proxy restarted, or the exporter had more connections than connections.max_open or connections.max_open_total.", 8,
			ends+` && span.smithproxy.close.reason=~"lost|restart|evicted"`),
		found("High-entropy uploads", "Connections whose client sent data of at least the entropy above.", 8,
			ends+` && span.smithproxy.entropy.up>=$entropy`),
		found("Large uploads", "Connections whose client sent at least the bytes above.", 8,
			ends+` && span.smithproxy.bytes.up>=$bytes`),
		found("Long connections", "Connections that lasted for ten minutes or more.", 8,
			ends+` && duration>=10m`),
	}
}

// found is a table of what a TraceQL condition finds. The attributes that the condition names are its
// columns.
func found(title, description string, h uint32, condition string) panel {
	return traces(about{title: title, description: description, w: columns, h: h}).Datasource(tempo).
		Targets([]cog.Builder[variants.Dataquery]{traceQuery(tempoQuery{
			RefID: "A", Datasource: tempo, QueryType: "traceql", Limit: searchLimit, TableType: "traces",
			Query: "{ " + ofProxies + condition + " }", Filters: []any{},
		})})
}

func jaegerTables() []panel {
	return []panel{
		tagged("Connections", "By the Jaeger tags above; without tags, the latest. A trace id leads to the trace.", 10, ""),
		tagged("Rejected", "Connections that an access-request refused, of those with the tags above.", 8, "smithproxy.close.reason=rejected"),
		tagged("End unknown", "Connections whose end is not known, of those with the tags above.", 8, "error=true"),
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
