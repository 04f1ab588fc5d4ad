package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/common"

// fleet returns the overview of all proxies: up or down, traffic, alerts.
func fleet() *board {
	return &board{
		uid: uidPrefix + "fleet", title: "Fleet", link: "Fleet",
		description: "Proxies: up or down, their traffic, restarts and firing alerts.",
		variables:   []variable{prometheusSource(), proxies()},
		rows: []row{
			{panels: fleetNumbers()},
			{title: "Proxies", panels: []panel{fleetStates(), fleetTable(), pingAge(), restartsOverTime()}},
			{title: "What they carry", panels: fleetLoad()},
			{title: "Alerts", panels: []panel{alertsFiring()}},
		},
	}
}

func fleetNumbers() []panel {
	return []panel{
		number(about{"Proxies up", "Proxies that pinged within the ping timeout.", "none", 4, 4}, steps{{0, bad}, {1, good}},
			now(orZero(`sum(smithproxy_up{source=~"$source"})`), "up")),
		number(about{"Proxies down", "Proxies whose last ping is older than the ping timeout.", "none", 4, 4}, zeroIsGood(bad),
			now(orZero(`count(smithproxy_up{source=~"$source"} == 0)`), "down")),
		number(about{"Longest silence", "Longest time since the last ping, of all proxies. Proxies ping every two minutes unless configured otherwise.", "s", 4, 4},
			steps{{0, good}, {180, warn}, {300, bad}},
			now(orZero(`max(time() - smithproxy_last_ping_timestamp_seconds{source=~"$source"})`), "silence")).Decimals(0),
		number(about{"Restarts", "Restarts of proxies in the time range, seen as a change of the boot id.", "none", 4, 4}, zeroIsGood(restart),
			now(orZero(`sum(round(increase(smithproxy_restarts_total{source=~"$source"}[$__range])))`), "restarts")),
		number(about{"Active connections", "Open connections, as far as the events of the proxies tell.", "short", 4, 4}, always(neutral),
			over(orZero(`sum(smithproxy_connections_active{source=~"$source"})`), "active")),
		number(about{"Alerts firing", "Firing alerts of alerts/smithproxy.rules.yml; the table below lists them.", "none", 4, 4}, zeroIsGood(bad),
			now(orZero(`count(ALERTS{alertname=~"Smithproxy.*", alertstate="firing"})`), "alerts")),
	}
}

func fleetStates() panel {
	return states(about{"Up and down", "Whether each proxy pinged within the ping timeout. In a gap the exporter was not scraped, or did not know the proxy.", "none", 24, 6}, upOrDown,
		over(`sum by (source) (smithproxy_up{source=~"$source"})`, "{{source}}")).DataLinks(ofProxy())
}

func fleetTable() panel {
	return records(about{"Proxies", "One row for each proxy. The name links to its connections.", "none", 24, 8}, "Proxy", false, []column{
		{field: "source", title: "Proxy", links: cellLink("Connections of ${__value.raw}", searchURL+"&var-source=${__value.raw}")},
		{field: "Value #A", title: "State", mappings: upOrDown},
		{field: "Value #B", title: "Since last ping", unit: "s", colors: steps{{0, muted}, {180, warn}, {300, bad}}},
		{field: "Value #C", title: "Restarts", unit: "none", colors: steps{{0, muted}, {1, restart}}},
		{field: "Value #D", title: "Active", unit: "short"},
		{field: "Value #E", title: "Closed", unit: "short"},
		{field: "Value #F", title: "Rejected", unit: "short", colors: steps{{0, muted}, {1, bad}}},
		{field: "Value #G", title: "Lost", unit: "short", colors: steps{{0, muted}, {1, warn}}},
		{field: "Value #H", title: "Bytes up", unit: "decbytes"},
		{field: "Value #I", title: "Bytes down", unit: "decbytes"},
	},
		rows(`sum by (source) (smithproxy_up{source=~"$source"})`),
		rows(`max by (source) (time() - smithproxy_last_ping_timestamp_seconds{source=~"$source"})`),
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
	return lines(about{"Time since the last ping", "Time since the last ping of each proxy. The alert SmithproxyDown fires above the red line (five minutes).", "s", 12, 8},
		over(`max by (source) (time() - smithproxy_last_ping_timestamp_seconds{source=~"$source"})`, "{{source}}")).
		FillOpacity(0).Thresholds(steps{{0, "transparent"}, {300, bad}}.thresholds()).
		ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeLine)).
		DataLinks(ofProxy())
}

func restartsOverTime() panel {
	return bars(about{"Restarts", "Restarts of each proxy, seen as a change of the boot id. Its open connections are closed with the reason restart.", "none", 12, 8},
		over(`sum by (source) (round(increase(smithproxy_restarts_total{source=~"$source"}[$__rate_interval])))`, "{{source}}")).
		Decimals(0).AxisSoftMax(1).DataLinks(ofProxy())
}

func fleetLoad() []panel {
	return []panel{
		stacks(about{"Connections started", "New connections per second, by proxy.", connectionsPerSecond, 12, 8},
			over(`sum by (source) (rate(smithproxy_connections_started_total{source=~"$source"}[$__rate_interval]))`, "{{source}}")).DataLinks(ofProxy()),
		stacks(about{"Active connections", "Open connections, by proxy.", "short", 12, 8},
			over(`sum by (source) (smithproxy_connections_active{source=~"$source"})`, "{{source}}")).DataLinks(ofProxy()),
		stacks(about{"Bytes", "Payload in both directions, by proxy. A connection is counted when it ends.", "Bps", 12, 8},
			over(`sum by (source) (rate(smithproxy_connection_bytes_total{source=~"$source"}[$__rate_interval]))`, "{{source}}")).DataLinks(ofProxy()),
		paint(stacks(about{"Verdicts", "Answers to access-requests per second, by verdict.", "reqps", 12, 8},
			over(orNamed(`sum by (verdict) (rate(smithproxy_access_requests_total{source=~"$source"}[$__rate_interval]))`, "verdict", "accept"), "{{verdict}}")), verdictColors).
			DataLinks(chosen("Connections decided with ${__field.labels.verdict}", "var-verdict=${__field.labels.verdict}")),
	}
}

func alertsFiring() panel {
	return records(about{"Alerts firing", "Firing alerts of alerts/smithproxy.rules.yml. docs/alerts.md has a runbook for each.", "none", 24, 6}, "Alert", false, []column{
		{field: "alertname", title: "Alert"}, {field: "severity", title: "Severity"}, {field: "source", title: "Proxy"},
		{field: "Value", title: "Firing", mappings: firing},
	},
		rows(`sum by (alertname, severity, source) (ALERTS{alertname=~"Smithproxy.*", alertstate="firing"})
			or on() label_replace(vector(0), "alertname", "none", "", "")`))
}
