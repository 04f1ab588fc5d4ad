package dashboards

// fleet returns the overview of all proxies: alerts, up or down, traffic.
func fleet() *board {
	return &board{
		uid: uidPrefix + "fleet", title: "Fleet", link: "Fleet",
		description: "Proxies: firing alerts, up or down, restarts and their traffic.",
		variables:   []variable{prometheusSource(), proxies(), runbooks()},
		rows: []row{
			{panels: fleetNumbers()},
			{panels: []panel{alertTable()}},
			{title: "Proxies", panels: []panel{fleetStates(), fleetTable(), pingAge(), restartsOverTime()}},
			{title: "What they carry", panels: fleetLoad()},
		},
	}
}

func fleetNumbers() []panel {
	return []panel{
		number(about{"Proxies up", "Proxies that pinged within the ping timeout (proxies.ping_timeout).", "none", 4, 4}, steps{{0, bad}, {1, good}}, toPanel("fleet", "Up and down"),
			now(orZero(`sum(max by (source) (smithproxy_up{source=~"$source"}))`), "up")),
		number(about{"Proxies down", "Proxies whose last ping is older than the ping timeout, or that never pinged.", "none", 4, 4}, zeroIsGood(bad), toPanel("fleet", "Up and down"),
			now(orZero(`count(max by (source) (smithproxy_up{source=~"$source"}) == 0)`), "down")),
		number(about{"Longest silence", "Longest time since the last ping, of all proxies. How often proxies ping is a setting of theirs.", "s", 4, 4}, always(neutral), toPanel("fleet", "Time since the last ping"),
			now(`max(time() - max by (source) (smithproxy_last_ping_timestamp_seconds{source=~"$source"}))`, "silence")).Decimals(0),
		number(about{"Restarts", "Restarts of proxies in the time range, seen as a change of the boot id.", "none", 4, 4}, zeroIsGood(restart), toPanel("fleet", "Restarts over time"),
			now(orZero(`sum(round(increase(smithproxy_restarts_total{source=~"$source"}[$__range])))`), "restarts")),
		number(about{"Active connections", "Open connections, as far as the events of the proxies tell.", "short", 4, 4}, always(neutral), toBoard("Traffic", "traffic"),
			over(orZero(`sum(smithproxy_connections_active{source=~"$source"})`), "active")),
		number(about{"Alerts firing", "Firing alerts of the severities critical and warning. The table below lists them.", "none", 4, 4}, zeroIsGood(bad), toPanel("fleet", "Alerts"),
			now(orZero(`count(ALERTS{alertname=~"Smithproxy.+", alertstate="firing", severity=~"critical|warning", source=~"$source|"})`), "alerts")),
	}
}

func alertTable() panel {
	return records(about{"Alerts", "Firing alerts of alerts/smithproxy.rules.yml: those of the selected proxies, and those of exporters. The proxy links to its traffic.", "none", 24, 6}, "Since", true, []column{
		{field: "severity", title: "Severity", mappings: severity, width: 110},
		{field: "alertname", title: "Alert", width: 300},
		{field: "source", title: "Proxy", links: cellLink("Traffic of ${__value.raw}", "/d/smithproxy-traffic?${__url_time_range}&${datasource:queryparam}&var-source=${__value.raw}")},
		{field: "instance", title: "Exporter", links: cellLink("Exporter ${__value.raw}", "/d/smithproxy-exporter?${__url_time_range}&${datasource:queryparam}&var-instance=${__value.raw}")},
		{field: "reason", title: "Reason"},
		{field: "metric", title: "Metric"},
		{field: "Value", title: "Since", unit: "dateTimeFromNow"},
		{field: "runbook", title: "Runbook", mappings: runbookSections(), links: cellLink("Runbook", "${runbooks}#${__value.text}"), width: 300},
	},
		rows(`label_replace(max by (alertname, severity, source, instance, reason, metric) (
				ALERTS_FOR_STATE{alertname=~"Smithproxy.+", source=~"$source|"}
			and ignoring (alertstate)
				ALERTS{alertstate="firing"}
			) * 1000, "runbook", "$1", "alertname", "(.*)")
			or on () label_replace(vector(NaN), "alertname", "none is firing", "", "")`))
}

func fleetStates() panel {
	return states(about{"Up and down", "Whether each proxy pinged within the ping timeout. In a gap the exporter was not scraped, or did not know the proxy.", "none", 24, 6}, upOrDown,
		over(`max by (source) (smithproxy_up{source=~"$source"})`, "{{source}}")).DataLinks(ofProxy())
}

func fleetTable() panel {
	return records(about{"Proxies", "One row for each proxy. The name links to its connections.", "none", 24, 8}, "Proxy", false, []column{
		{field: "source", title: "Proxy", links: cellLink("Connections of ${__value.raw}", searchURL+"&var-source=${__value.raw}")},
		{field: "Value #A", title: "State", mappings: upOrDown},
		{field: "Value #B", title: "Since last ping", unit: "s"},
		{field: "Value #C", title: "Restarts", unit: "none", colors: steps{{0, muted}, {1, restart}}},
		{field: "Value #D", title: "Active", unit: "short"},
		{field: "Value #E", title: "Closed", unit: "short"},
		{field: "Value #F", title: "Rejected", unit: "short", colors: steps{{0, muted}, {1, bad}}},
		{field: "Value #G", title: "Lost", unit: "short", colors: steps{{0, muted}, {1, warn}}},
		{field: "Value #H", title: "Bytes up", unit: "decbytes"},
		{field: "Value #I", title: "Bytes down", unit: "decbytes"},
	},
		rows(`max by (source) (smithproxy_up{source=~"$source"})`),
		rows(`time() - max by (source) (smithproxy_last_ping_timestamp_seconds{source=~"$source"})`),
		rows(`sum by (source) (round(increase(smithproxy_restarts_total{source=~"$source"}[$__range])))`),
		rows(`sum by (source) (smithproxy_connections_active{source=~"$source"})`),
		rows(`round(sum by (source) (increase(smithproxy_connections_closed_total{source=~"$source"}[$__range])))`),
		rows(closedBySource("rejected")), rows(closedBySource("lost")),
		rows(`sum by (source) (increase(smithproxy_connection_bytes_total{source=~"$source", direction="up"}[$__range]))`),
		rows(`sum by (source) (increase(smithproxy_connection_bytes_total{source=~"$source", direction="down"}[$__range]))`),
	)
}

// closedBySource returns a query that is 0 for a proxy without the series of the reason.
func closedBySource(reason string) string {
	return `round(sum by (source) (increase(smithproxy_connections_closed_total{source=~"$source", reason="` + reason + `"}[$__range])))
		or sum by (source) (smithproxy_pings_total{source=~"$source"}) * 0`
}

func pingAge() panel {
	return lines(about{"Time since the last ping", "Time since the last ping of each proxy. The alert SmithproxyDown fires above proxies.ping_timeout.", "s", 12, 9},
		over(`time() - max by (source) (smithproxy_last_ping_timestamp_seconds{source=~"$source"})`, "{{source}}")).
		FillOpacity(0).DataLinks(ofProxy())
}

func restartsOverTime() panel {
	return bars(about{"Restarts over time", "Restarts of each proxy, seen as a change of the boot id. Its open connections are closed with the reason restart.", "none", 12, 9},
		over(sinceOrNone(`smithproxy_restarts_total{source=~"$source"}`), "{{source}}")).
		AxisSoftMax(1).DataLinks(ofProxy())
}

func fleetLoad() []panel {
	return []panel{
		stacks(about{"Connections started", "New connections per second, by proxy.", connectionsPerSecond, 12, 9},
			over(ratesBy("source", `smithproxy_connections_started_total{source=~"$source"}`), "{{source}}")).DataLinks(ofProxy()),
		stacks(about{"Open connections", "Open connections, by proxy.", "short", 12, 9},
			over(gaugesBy("source", `smithproxy_connections_active{source=~"$source"}`), "{{source}}")).DataLinks(ofProxy()),
		stacks(about{"Bytes", "Payload in both directions, by proxy. A connection is counted when it ends.", "Bps", 12, 9},
			over(ratesBy("source", `smithproxy_connection_bytes_total{source=~"$source"}`), "{{source}}")).DataLinks(ofProxy()),
		stacks(about{"Rejected connections", "Access-requests per second that were rejected, by proxy.", "reqps", 12, 9},
			over(ratesBy("source", `smithproxy_access_requests_total{source=~"$source", verdict="reject"}`), "{{source}}")).
			DataLinks(toConnections("Rejected connections of ${__field.labels.source}", "var-source=${__field.labels.source}&var-reason=rejected")),
	}
}
