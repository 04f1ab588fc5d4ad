package dashboards

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/table"
)

// search returns the dashboard that finds single connections in Tempo. Its variables fit on one line of a window of
// 1920 pixels.
func search() *board {
	const verdict = `span.smithproxy.access.verdict=`
	return &board{
		uid: uidPrefix + "search", title: "Connection search", link: "Search",
		description: "Single connections by client, server, app, verdict and close reason, from Tempo.",
		variables: []variable{
			// The names of the proxies come from Prometheus.
			dashboard.NewDatasourceVariableBuilder("datasource").Type("prometheus").Label("Metrics").Hide(dashboard.VariableHideHideVariable),
			dataSource("tempo", "tempo", "Tempo"), proxies(),
			textBox("client", "Client", "Regular expression for the client's address", ".*"),
			textBox("server", "Server", "Regular expression for the server's name or address", ".*"),
			textBox("app", "App", "Regular expression for the span's name: the app, else the transport", ".*"),
			choiceOf("verdict", "Verdict", meaning{"any", "true"}, meaning{"accept", verdict + `"accept"`}, meaning{"reject", verdict + `"reject"`}),
			choiceOf("reason", "Reason", meaning{"any", ".*"}, meaning{"stop", "stop"}, meaning{"rejected", "rejected"},
				meaning{"lost", "lost"}, meaning{"restart", "restart"}, meaning{"evicted", "evicted"}),
			textBox("filter", "TraceQL", "Any further condition, such as span.smithproxy.policy=3", "true"),
			textBox("entropy", "Entropy", "Least upload entropy in bits per byte, for the table High-entropy uploads", "7.8"),
			textBox("bytes", "Bytes", "Least upload in bytes, for the table Large uploads", "1000000"),
		},
		rows: []row{
			{panels: []panel{searchHelp()}},
			{title: "Connections", panels: connectionTables()},
		},
	}
}

func searchHelp() panel {
	return note(about{title: "How to search", description: "How to use the fields above, and how to find the trace of a log line.", w: 24, h: 4}, strings.TrimSpace(`
Client, Server and App are regular expressions that match the whole value: `+"`.*`"+` matches any, `+"`10[.]1[.].*`"+` a network, `+"`.*example[.]org`"+` a domain. TraceQL takes any further condition, such as `+"`span.smithproxy.access.rule=\"no-mail\"`"+`. A log line of a proxy names a connection: `+"`smithproxy_exporter trace-id SOURCE ID`"+` prints the id of its trace, which Explore opens.`))
}

func connectionTables() []panel {
	return []panel{
		found("Connections", "Connections by all fields above, the latest first. The span id links to the trace.", 12, ` && span.smithproxy.close.reason=~"$reason" && $verdict`),
		found("Rejected", "Rejected connections, with the rule that decided.", 9, ` && span.smithproxy.close.reason="rejected"`),
		found("End unknown", "Connections whose end is not known: no stop was received, the proxy restarted, or the exporter had more connections than connections.max_open or connections.max_open_total.", 9,
			` && span.smithproxy.close.reason=~"lost|restart|evicted"`),
		found("High-entropy uploads", "Connections whose upload has at least the entropy given above.", 9, ` && span.smithproxy.entropy.up>=$entropy`),
		found("Large uploads", "Connections whose upload has at least the bytes given above.", 9, ` && span.smithproxy.bytes.up>=$bytes`),
		found("Long connections", "Connections of ten minutes or more.", 9, ` && duration>=10m`),
	}
}

// ofChosen is the part that every search has: the spans of connections, of the selected proxies, clients, servers and apps.
const ofChosen = `resource.service.name="smithproxy" && resource.service.instance.id=~"${source:pipe}" && kind=server` +
	` && span.client.address=~"$client" && span.server.address=~"$server" && name=~"$app" && $filter`

// spanColumns are the columns of a table of spans in their order, and the attributes that a search selects for them.
// Grafana gives the columns that are no attributes these names.
var spanColumns = []struct {
	field, title string
	attribute    bool
}{
	{"Start time", "Start", false},
	{"client.address", "Client", true},
	{"server.address", "Server", true},
	{"Name", "App", false},
	{"smithproxy.bytes.up", "Bytes up", true},
	{"smithproxy.bytes.down", "Bytes down", true},
	{"Duration", "Duration", false},
	{"smithproxy.access.verdict", "Verdict", true},
	{"smithproxy.access.rule", "Rule", true},
	{"smithproxy.close.reason", "Reason", true},
	{"Span ID", "Trace", false},
}

// found returns a table with a row for each connection that matches a TraceQL condition. It has no text for empty cells,
// which would read like a failure, and none instead of rows, which would hide one.
func found(title, description string, h uint32, condition string) panel {
	var attributes []string
	index, titles := map[string]int{}, map[string]string{}
	for i, c := range spanColumns {
		index[c.field], titles[c.field] = i, c.title
		if c.attribute {
			attributes = append(attributes, "span."+c.field)
		}
	}
	return traces(about{title: title, description: description, w: columns, h: h}).Datasource(tempo).
		Targets([]cog.Builder[variants.Dataquery]{traceQuery(tempoQuery{
			RefID: "A", Datasource: tempo, QueryType: "traceql", Limit: searchLimit, TableType: "spans",
			Query:   "{ " + ofChosen + condition + " } | select(" + strings.Join(attributes, ", ") + ") with (most_recent=true)",
			Filters: []any{},
		})}).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
			// The attributes of the condition come as columns too.
			"excludeByName": map[string]bool{"Trace Service": true, "Trace Name": true, "service.name": true, "service.instance.id": true, "kind": true},
			"indexByName":   index, "renameByName": titles,
		}}).
		SortBy([]cog.Builder[common.TableSortByFieldState]{
			common.NewTableSortByFieldStateBuilder().DisplayName("Start").Desc(true),
		}).
		OverrideByName("Bytes up", []dashboard.DynamicConfigValue{property("unit", "decbytes")}).
		OverrideByName("Bytes down", []dashboard.DynamicConfigValue{property("unit", "decbytes")}).
		OverrideByName("Verdict", []dashboard.DynamicConfigValue{property("mappings", verdictNames), property("custom.displayMode", "color-text")})
}

func traces(a about) *table.PanelBuilder {
	a.unit = "none"
	return show(table.NewPanelBuilder(), a).ShowHeader(true).Footer(noFooter())
}

const searchLimit = 50
