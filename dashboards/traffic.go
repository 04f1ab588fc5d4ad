package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/common"

// traffic returns the dashboard of applications, server names, policies, durations and close reasons.
func traffic() *board {
	return &board{
		uid: uidPrefix + "traffic", title: "Traffic", link: "Traffic",
		description: "Applications, server names, policies, durations and how connections end.",
		variables: []variable{
			prometheusSource(), proxies(),
			labelValues("app", "App", `smithproxy_connections_closed_total{source=~"$source"}`, "app"),
			labelValues("policy", "Policy", `smithproxy_connections_closed_total{source=~"$source"}`, "policy"),
			labelValues("direction", "Direction", `smithproxy_connection_bytes_total{source=~"$source"}`, "direction"),
			choice("top", "Top", "10", "5", "20"),
		},
		rows: []row{
			{panels: trafficNumbers()},
			{title: "Volume", panels: []panel{bytesUpDown(), connectionsCompared(), bytesCompared()}},
			{title: "Applications and policies", panels: []panel{connectionsByApp(), bytesByApp(), policies()}},
			{title: "How connections end", panels: []panel{exceptions(), exceptionShares()}},
			{title: "Clients", panels: clients()},
			{title: "Servers", panels: servers()},
			{title: "Places", panels: places()},
			{title: "Durations", panels: []panel{durations(), durationQuantiles()}},
			{title: "Content", panels: []panel{topSignatures(), requestsByApp(), byTransport(), sunken()}},
		},
	}
}

// Selectors of the variables, by the labels that a metric has.
const chosenTraffic = `source=~"$source", policy=~"$policy", app=~"$app"`

func trafficNumbers() []panel {
	bytes := func(direction string) string {
		return orZero(`sum(rate(smithproxy_connection_bytes_total{` + chosenTraffic + `, direction="` + direction + `"}[$__rate_interval]))`)
	}
	share := func(of string) string {
		return orZero(`(sum(increase(smithproxy_connections_closed_total{` + chosenTraffic + `, reason="` + of + `"}[$__range])) or vector(0))
			/ (sum(increase(smithproxy_connections_closed_total{` + chosenTraffic + `}[$__range])) > 0)`)
	}
	return []panel{
		number(about{"Connections", "Closed connections per second.", connectionsPerSecond, 4, 4}, always(neutral), toPanel("traffic", "Connections by app"),
			over(orZero(`sum(rate(smithproxy_connections_closed_total{`+chosenTraffic+`}[$__rate_interval]))`), "connections")),
		number(about{"Bytes up", "Payload from clients to servers. A connection is counted when it ends.", "Bps", 4, 4}, always(upload), toPanel("traffic", "Bytes up and down"), over(bytes("up"), "up")),
		number(about{"Bytes down", "Payload from servers to clients. A connection is counted when it ends.", "Bps", 4, 4}, always(download), toPanel("traffic", "Bytes up and down"), over(bytes("down"), "down")),
		number(about{"Active connections", "Open connections of all apps and policies, because these are known only at the end.", "short", 4, 4}, always(neutral), toBoard("Fleet", "fleet"),
			over(orZero(`sum(smithproxy_connections_active{source=~"$source"})`), "active")),
		number(about{"Rejected", "Share of rejected connections in the time range.", "percentunit", 4, 4}, zeroIsGood(bad), chosen("Rejected connections", "var-reason=rejected"), now(share("rejected"), "rejected")).Decimals(1),
		number(about{"Lost", "Share of connections that disappeared without a stop in the time range.", "percentunit", 4, 4}, zeroIsGood(warn), chosen("Lost connections", "var-reason=lost"), now(share("lost"), "lost")).Decimals(1),
	}
}

// bytesUpDown draws uploads below 0, so that neither direction hides the other.
func bytesUpDown() panel {
	sum := func(direction string) query {
		return over(`sum(rate(smithproxy_connection_bytes_total{`+chosenTraffic+`, direction="`+direction+`"}[$__rate_interval]))`, direction)
	}
	return graph(about{"Bytes up and down", "Payload by direction: down from servers to clients, and up, drawn below zero, from clients to servers. A connection is counted when it ends.", "Bps", 24, 9},
		sum("down"), sum("up")).FillOpacity(30).
		OverrideByName("down", painted(download)).
		OverrideByName("up", append(painted(upload), property("custom.transform", "negative-Y")))
}

// compared returns a panel of a rate beside itself a day and a week before.
func compared(title, description, unit, counter string) panel {
	at := func(offset string) string {
		return `sum(rate(` + counter + `{` + chosenTraffic + `}[$__rate_interval]` + offset + `))`
	}
	dashed := property("custom.lineStyle", map[string]any{"fill": "dash", "dash": []int{8, 6}})
	return lines(about{title, description, unit, 12, 9},
		over(at(""), "now"), over(at(" offset 1d"), "a day before"), over(at(" offset 1w"), "a week before")).
		FillOpacity(0).
		OverrideByName("now", append(painted(neutral), property("custom.lineWidth", 2), property("custom.fillOpacity", 10))).
		OverrideByName("a day before", append(painted(restart), dashed)).
		OverrideByName("a week before", append(painted(gone), dashed))
}

func connectionsCompared() panel {
	return compared("Connections compared", "Closed connections per second, and the same a day and a week before.", connectionsPerSecond, "smithproxy_connections_closed_total")
}

func bytesCompared() panel {
	return compared("Bytes compared", "Payload in both directions, and the same a day and a week before.", "Bps", "smithproxy_connection_bytes_total")
}

func connectionsByApp() panel {
	return apps(about{"Connections by app", "Closed connections per second, by L7 application. It is unknown where traffic is not inspected.", connectionsPerSecond, 12, 10},
		`smithproxy_connections_closed_total{`+chosenTraffic+`}`)
}

func bytesByApp() panel {
	return apps(about{"Bytes by app", "Payload in the chosen directions, by L7 application.", "Bps", 12, 10},
		`smithproxy_connection_bytes_total{`+chosenTraffic+`, direction=~"$direction"}`)
}

func apps(a about, counter string) panel {
	return paint(stacks(a, over(readableApp(ratesBy("app", counter)), "{{app}}")), []seriesColor{{noApp, gone}, {others, "semi-dark-purple"}}).
		DataLinks(chosen("Connections of ${__field.labels.app}", "var-app=${__field.labels.app}"))
}

// exceptions leaves out the reason stop, beside which the others would be hairlines.
func exceptions() panel {
	return paint(stacks(about{"Exceptions", "Connections per second that did not end with a stop: rejected, restart of the proxy, lost (disappeared), evicted (connections.max_open or max_open_total was reached).", connectionsPerSecond, 12, 9},
		over(ratesBy("reason", `smithproxy_connections_closed_total{`+chosenTraffic+`, reason!="stop"}`), "{{reason}}")), reasonColors).
		DataLinks(chosen("Connections that ended with ${__field.labels.reason}", "var-reason=${__field.labels.reason}"))
}

func exceptionShares() panel {
	return paint(lines(about{"Share of exceptions", "Share of the closed connections that each exception has.", "percentunit", 12, 9},
		over(orNone(`(`+countedBy("reason", `smithproxy_connections_closed_total{`+chosenTraffic+`, reason!="stop"}`)+`)
			/ on () group_left () (sum(rate(smithproxy_connections_closed_total{`+chosenTraffic+`}[$__rate_interval])) > 0)`,
			"reason", counted(`smithproxy_connections_closed_total{`+chosenTraffic+`, reason!="stop"}`)), "{{reason}}")), reasonColors).
		FillOpacity(0).LineWidth(2).DataLinks(chosen("Connections that ended with ${__field.labels.reason}", "var-reason=${__field.labels.reason}"))
}

func policies() panel {
	// of returns what was counted of each policy that has connections, also if that is nothing.
	of := func(metric, more string) query {
		sum := func(metric, more string) string {
			return `sum by (policy) (increase(` + metric + `{` + chosenTraffic + more + `}[$__range]))`
		}
		all := sum("smithproxy_connections_closed_total", "")
		return rows(readablePolicy("round((" + sum(metric, more) + " or " + all + " * 0) and " + all + " > 0)"))
	}
	return records(about{"Policies", "Connections by policy in the time range. implicit: accepted because no policy matched.", "none", 24, 8}, "Connections", true, []column{
		{field: "policy", title: "Policy"},
		{field: "Value #A", title: "Connections", unit: "short"},
		{field: "Value #B", title: "Rejected", unit: "short", colors: steps{{0, muted}, {1, bad}}},
		{field: "Value #C", title: "Bytes up", unit: "decbytes"},
		{field: "Value #D", title: "Bytes down", unit: "decbytes"},
	},
		of("smithproxy_connections_closed_total", ""),
		of("smithproxy_connections_closed_total", `, reason="rejected"`),
		of("smithproxy_connection_bytes_total", `, direction="up"`),
		of("smithproxy_connection_bytes_total", `, direction="down"`),
	)
}

func clients() []panel {
	const bytes, connections = "smithproxy_client_bytes_total", "smithproxy_client_connections_total"
	link := func(address string) string { return "var-client=" + address }
	return []panel{
		top(about{"Top clients by bytes", "Payload by client address, in the chosen directions and the time range.", "decbytes", 9, 11}, "client", bytes, `, direction=~"$direction"`, link),
		shareOfOthers("Other clients, bytes", "client", bytes, `, direction=~"$direction"`, 3, 11),
		top(about{"Top clients by connections", "Closed connections by client address in the time range.", "short", 9, 11}, "client", connections, "", link),
		shareOfOthers("Other clients, connections", "client", connections, "", 3, 11),
		byNetwork(about{"Bytes by network", "Payload by the network of the client (metrics.networks), in the chosen directions.", "Bps", 12, 9},
			`smithproxy_client_bytes_total{source=~"$source", direction=~"$direction"}`),
		byNetwork(about{"Connections by network", "Closed connections per second, by the network of the client (metrics.networks).", connectionsPerSecond, 12, 9},
			`smithproxy_client_connections_total{source=~"$source"}`),
	}
}

func byNetwork(a about, counter string) panel {
	return paint(stacks(a, over(relabel(ratesBy("network", counter), "network", noNetwork, ""), "{{network}}")), []seriesColor{{noNetwork, gone}})
}

func places() []panel {
	country := func(counter string) string {
		return relabel(relabel(ratesBy("country", counter), "country", "unknown", ""), "country", others, "_other")
	}
	return []panel{
		paint(stacks(about{"Bytes by country", "Payload by the country of the server, in the chosen directions. Needs geoip.files.", "Bps", 12, 10},
			over(country(`smithproxy_geo_bytes_total{source=~"$source", direction=~"$direction"}`), "{{country}}")), []seriesColor{{"unknown", gone}}),
		ranking(about{"Top autonomous systems by connections", "Connections by the autonomous system of the server in the time range. Needs geoip.files.", "short", 12, 10}, neutral,
			now(`topk($top, round(sum by (as) (increase(smithproxy_geo_connections_total{source=~"$source", as!~"|_other"}[$__range]))) > 0)
			or on () `+relabel("vector(0)", "as", "none", ""), "{{as}}")),
	}
}

func servers() []panel {
	const bytes, connections = "smithproxy_sni_bytes_total", "smithproxy_sni_connections_total"
	link := func(name string) string { return "var-server=" + name }
	return []panel{
		top(about{"Top server names by bytes", "Payload by TLS server name, in the chosen directions and the time range.", "decbytes", 9, 11}, "sni", bytes, `, direction=~"$direction"`, link),
		shareOfOthers("Other names, bytes", "sni", bytes, `, direction=~"$direction"`, 3, 11),
		top(about{"Top server names by connections", "Connections by TLS server name in the time range.", "short", 9, 11}, "sni", connections, "", link),
		shareOfOthers("Other names, connections", "sni", connections, "", 3, 11),
		top(about{"Top servers without a name, by bytes", "Payload by server address, of connections without a TLS server name, in the chosen directions and the time range.", "decbytes", 12, 10}, "server", "smithproxy_server_bytes_total", `, direction=~"$direction"`, link),
		top(about{"Top servers without a name, by connections", "Connections without a TLS server name by server address in the time range.", "short", 12, 10}, "server", "smithproxy_server_connections_total", "", link),
	}
}

// top returns a ranking of the label values that were counted most. link returns the search for one.
func top(a about, label, counter, more string, link func(string) string) panel {
	return ranking(a, neutral,
		now(`topk($top, round(sum by (`+label+`) (increase(`+counter+`{source=~"$source", `+label+`!="_other"`+more+`}[$__range]))) > 0)
			or on () `+relabel("vector(0)", label, "none", ""), "{{"+label+"}}")).
		DataLinks(chosen("Connections of ${__field.labels."+label+"}", link("${__field.labels."+label+"}")))
}

// shareOfOthers returns the share that a ranking does not show: of values beyond its length, and of those without a
// series of their own. It is no bar of the ranking, because it can be longer than all others.
func shareOfOthers(title, label, counter, more string, w, h uint32) panel {
	all := `increase(` + counter + `{source=~"$source"` + more + `}[$__range])`
	named := `increase(` + counter + `{source=~"$source", ` + label + `!="_other"` + more + `}[$__range])`
	return number(about{title, "Share of what the ranking does not show: values beyond the chosen number, and those without a series of their own.", "percentunit", w, h}, always(muted), toBoard("Exporter", "exporter"),
		now(orZero(`1 - sum(topk($top, sum by (`+label+`) (`+named+`))) / (sum(`+all+`) > 0)`), "others")).Decimals(0)
}

func topSignatures() panel {
	return ranking(about{"Top signatures", "Signature matches in the time range, of signatures with a series of their own.", "short", 8, 10}, neutral,
		now(`topk($top, round(sum by (signature) (increase(smithproxy_signatures_total{source=~"$source", signature!="_other"}[$__range]))) > 0)
			or on () `+relabel("vector(0)", "signature", "none", ""), "{{signature}}"))
}

func durations() panel {
	return density(about{"Durations", "Distribution of the duration of connections. Points are single connections and link to their traces.", "s", 12, 10}, "Blues",
		buckets(`sum by (le) (increase(smithproxy_connection_duration_seconds_bucket{source=~"$source", app=~"$app"}[$__rate_interval]))`).Exemplar(true))
}

func durationQuantiles() panel {
	quantile := func(q string) string {
		return `histogram_quantile(` + q + `, sum by (le) (rate(smithproxy_connection_duration_seconds_bucket{source=~"$source", app=~"$app"}[$__rate_interval])))`
	}
	// A logarithmic axis has no 0.
	return lines(about{"Duration quantiles", "Duration within which 50 %, 90 % and 99 % of the connections ended. Diamonds are single connections and link to their traces.", "s", 12, 10},
		traced(quantile("0.5"), "50 %"), over(quantile("0.9"), "90 %"), over(quantile("0.99"), "99 %")).
		FillOpacity(0).Min(.0001).ScaleDistribution(common.NewScaleDistributionConfigBuilder().Type(common.ScaleDistributionLog).Log(10))
}

func requestsByApp() panel {
	return stacks(about{"L7 requests by app", "Requests per second that the L7 engine reported, which may omit some. They are counted when the connection ends.", "reqps", 8, 10},
		over(readableApp(ratesBy("app", `smithproxy_l7_requests_total{source=~"$source", app=~"$app"}`)), "{{app}}"))
}

func byTransport() panel {
	return stacks(about{"Connections by transport", "New connections per second. tls is inspected TLS over TCP, quic a QUIC or HTTP/3 stream.", connectionsPerSecond, 8, 10},
		over(relabel(ratesBy("transport", `smithproxy_connections_started_total{source=~"$source"}`), "transport", others, "_other"), "{{transport}}"))
}

func sunken() panel {
	return paint(lines(about{"Sinkholes", "Payload per second discarded by the sink features of policies, by direction.", "Bps", 24, 8},
		over(ratesBy("direction", `smithproxy_sinkhole_bytes_total{source=~"$source", direction=~"$direction"}`), "{{direction}}")), directionColors)
}
