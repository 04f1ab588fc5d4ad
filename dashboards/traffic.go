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
			{title: "Applications and policies", panels: []panel{connectionsByApp(), bytesByApp(), bytesUpDown(), closeReasons(), policies()}},
			{title: "Server names", panels: []panel{
				topNames("Top server names by bytes", "Payload by TLS server name, in the chosen directions and the time range.", "decbytes",
					"smithproxy_sni_bytes_total", `, direction=~"$direction"`),
				topNames("Top server names by connections", "Connections by TLS server name in the time range.", "short",
					"smithproxy_sni_connections_total", ""),
			}},
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
		number(about{"Connections", "Closed connections per second.", connectionsPerSecond, 4, 4}, always(neutral),
			over(orZero(`sum(rate(smithproxy_connections_closed_total{`+chosenTraffic+`}[$__rate_interval]))`), "connections")),
		number(about{"Bytes up", "Payload from clients to servers. A connection is counted when it ends.", "Bps", 4, 4}, always(upload), over(bytes("up"), "up")),
		number(about{"Bytes down", "Payload from servers to clients. A connection is counted when it ends.", "Bps", 4, 4}, always(download), over(bytes("down"), "down")),
		number(about{"Active connections", "Open connections of all apps and policies, because these are known only at the end.", "short", 4, 4}, always(neutral),
			over(orZero(`sum(smithproxy_connections_active{source=~"$source"})`), "active")),
		number(about{"Rejected", "Share of rejected connections in the time range.", "percentunit", 4, 4}, zeroIsGood(bad), now(share("rejected"), "rejected")).Decimals(1),
		number(about{"Lost", "Share of connections that disappeared without a stop in the time range.", "percentunit", 4, 4}, zeroIsGood(warn), now(share("lost"), "lost")).Decimals(1),
	}
}

func connectionsByApp() panel {
	return stacks(about{"Connections by app", "Closed connections per second, by L7 application. It is unknown where traffic is not inspected.", connectionsPerSecond, 12, 8},
		over(readableApp(`sum by (app) (rate(smithproxy_connections_closed_total{`+chosenTraffic+`}[$__rate_interval]))`), "{{app}}")).
		DataLinks(chosen("Connections of ${__field.labels.app}", "var-app=${__field.labels.app}"))
}

func bytesByApp() panel {
	return stacks(about{"Bytes by app", "Payload in the chosen directions, by L7 application.", "Bps", 12, 8},
		over(readableApp(`sum by (app) (rate(smithproxy_connection_bytes_total{`+chosenTraffic+`, direction=~"$direction"}[$__rate_interval]))`), "{{app}}")).
		DataLinks(chosen("Connections of ${__field.labels.app}", "var-app=${__field.labels.app}"))
}

func bytesUpDown() panel {
	return paint(lines(about{"Bytes up and down", "Payload by direction. Up is from client to server.", "Bps", 12, 8},
		over(`sum by (direction) (rate(smithproxy_connection_bytes_total{`+chosenTraffic+`}[$__rate_interval]))`, "{{direction}}")), directionColors)
}

func closeReasons() panel {
	return paint(stacks(about{"Close reasons", "Closed connections per second by reason: stop, rejected, restart of the proxy, lost (disappeared without a stop), evicted (connections.max_open or max_open_total was reached).", connectionsPerSecond, 12, 8},
		over(orNamed(`sum by (reason) (rate(smithproxy_connections_closed_total{`+chosenTraffic+`}[$__rate_interval]))`, "reason", "stop"), "{{reason}}")), reasonColors).
		DataLinks(chosen("Connections that ended with ${__field.labels.reason}", "var-reason=${__field.labels.reason}"))
}

func policies() panel {
	sum := func(metric, more string) string {
		return readablePolicy(`sum by (policy) (increase(` + metric + `{` + chosenTraffic + more + `}[$__range]))`)
	}
	return records(about{"Policies", "Connections by policy in the time range. implicit: accepted because no policy matched.", "none", 24, 8}, "Connections", true, []column{
		{field: "policy", title: "Policy"},
		{field: "Value #A", title: "Connections", unit: "short"},
		{field: "Value #B", title: "Rejected", unit: "short", colors: steps{{0, muted}, {1, bad}}},
		{field: "Value #C", title: "Bytes up", unit: "decbytes"},
		{field: "Value #D", title: "Bytes down", unit: "decbytes"},
	},
		rows("round("+sum("smithproxy_connections_closed_total", "")+")"),
		rows("round("+sum("smithproxy_connections_closed_total", `, reason="rejected"`)+")\n\t\t\tor "+sum("smithproxy_connections_closed_total", "")+" * 0"),
		rows(sum("smithproxy_connection_bytes_total", `, direction="up"`)+"\n\t\t\tor "+sum("smithproxy_connections_closed_total", "")+" * 0"),
		rows(sum("smithproxy_connection_bytes_total", `, direction="down"`)+"\n\t\t\tor "+sum("smithproxy_connections_closed_total", "")+" * 0"),
	)
}

// topNames returns a ranking of the most frequent names, with the sum of the others.
func topNames(title, description, unit, metric, more string) panel {
	return ranking(about{title, description + " The rest is in \"" + others + "\".", unit, 12, 11}, neutral,
		now(`topk($top, round(sum by (sni) (increase(`+metric+`{source=~"$source", sni!="_other"`+more+`}[$__range]))))`, "{{sni}}"),
		now(orZero(`round(sum(increase(`+metric+`{source=~"$source", sni="_other"`+more+`}[$__range])))`), others)).
		OverrideByName(others, painted("semi-dark-purple")).
		DataLinks(chosen("Connections to ${__field.labels.sni}", "var-server=${__field.labels.sni}"))
}

func topSignatures() panel {
	return ranking(about{"Top signatures", "Signature matches in the time range. The rest is in \"" + others + "\".", "short", 8, 10}, neutral,
		now(orNamed(`topk($top, round(sum by (signature) (increase(smithproxy_signatures_total{source=~"$source", signature!="_other"}[$__range]))))`, "signature", "none"), "{{signature}}"),
		now(orZero(`round(sum(increase(smithproxy_signatures_total{source=~"$source", signature="_other"}[$__range])))`), others)).
		OverrideByName(others, painted("semi-dark-purple"))
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
		over(orNamed(relabel(`sum by (app) (rate(smithproxy_l7_requests_total{source=~"$source", app=~"$app"}[$__rate_interval]))`, "app", others, "_other"), "app", "none"), "{{app}}"))
}

func byTransport() panel {
	return stacks(about{"Connections by transport", "New connections per second. tls is inspected TLS over TCP, quic a QUIC or HTTP/3 stream.", connectionsPerSecond, 8, 10},
		over(relabel(`sum by (transport) (rate(smithproxy_connections_started_total{source=~"$source"}[$__rate_interval]))`, "transport", others, "_other"), "{{transport}}"))
}

func sunken() panel {
	return lines(about{"Sinkholes", "Payload per second discarded by the sink features of policies, by direction.", "Bps", 24, 8},
		over(`sum by (direction) (rate(smithproxy_sinkhole_bytes_total{source=~"$source", direction=~"$direction"}[$__rate_interval]))`, "{{direction}}")).AxisSoftMax(1)
}
