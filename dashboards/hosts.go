package dashboards

// hosts returns the dashboard of client addresses and payload entropy.
func hosts() *board {
	return &board{
		uid: uidPrefix + "hosts", title: "Hosts and entropy", link: "Hosts",
		description: "Client addresses, and the entropy of the payload.",
		variables: []variable{
			prometheusSource(), proxies(),
			textBox("address", "Address", "Pattern of client addresses, such as 10\\.1\\..*", ".*"),
			choice("entropy", "High entropy from", "7.8", "7.5", "7.9", "7"),
		},
		rows: []row{
			{panels: hostNumbers()},
			{title: "Hosts", panels: []panel{hostsAlive(), hostsDiscovered(), newHostTable(), newServerTable(), hostTable()}},
			{title: "Entropy of payload", panels: []panel{
				entropyCells("up", "Entropy of uploads", "Oranges"), entropyCells("down", "Entropy of downloads", "Blues"),
				highUploads(), highUploadShare(), entropyQuantiles(), entropyByProxy(),
			}},
			{title: "Direction of flow", panels: []panel{skewQuantiles(), skewShares()}},
		},
	}
}

// highEntropy returns a query for the number of uploads above the chosen entropy, by a function of buckets.
func highEntropy(by, function, window string) string {
	in := func(metric, more string) string {
		return `sum` + by + ` (` + function + `(smithproxy_payload_entropy_bits_` + metric + `{source=~"$source", direction="up"` + more + `}[` + window + `]))`
	}
	// Prometheus writes whole numbers as le="7" or le="7.0", depending on its version.
	return in("count", "") + ` - ` + in("bucket", `, le=~"$entropy(\\.0)?"`)
}

func allUploads(by, function, window string) string {
	return `sum` + by + ` (` + function + `(smithproxy_payload_entropy_bits_count{source=~"$source", direction="up"}[` + window + `]))`
}

func hostNumbers() []panel {
	return []panel{
		number(about{"Hosts", "Client addresses with traffic within the neighbor window (proxies.neighbor_window).", "short", 5, 4}, always(neutral), toPanel("hosts", "Hosts by proxy"),
			over(orZero(`sum(smithproxy_neighbors{source=~"$source"})`), "hosts")),
		number(about{"New hosts", "Client addresses that the proxies reported as new in the time range.", "short", 5, 4}, always(neutral), toPanel("hosts", "New hosts by name"),
			now(orZero(`sum(round(increase(smithproxy_neighbors_discovered_total{source=~"$source"}[$__range])))`), "new")),
		number(about{"Uploads measured", "Connections with a measured upload entropy in the time range. Needs a policy with the statistics feature.", "short", 5, 4}, always(neutral), toPanel("hosts", "Entropy of uploads"),
			now(orZero("round("+allUploads("", "increase", "$__range")+")"), "uploads")),
		number(about{"High-entropy uploads", "Uploads above the chosen entropy in the time range. Such data was encrypted or compressed by the client.", "short", 5, 4}, steps{{0, good}, {1, warn}}, chosen("Their connections", "${entropy:queryparam}"),
			now(orZero("round("+highEntropy("", "increase", "$__range")+")"), "uploads")),
		number(about{"High-entropy share", "Share of measured uploads above the chosen entropy in the time range.", "percentunit", 4, 4}, steps{{0, good}, {.25, warn}, {.5, bad}}, toPanel("hosts", "Share of high-entropy uploads"),
			now(orZero("("+highEntropy("", "increase", "$__range")+") / ("+allUploads("", "increase", "$__range")+" > 0)"), "share")).Decimals(1),
	}
}

func hostsAlive() panel {
	return stacks(about{"Hosts by proxy", "Client addresses with traffic within the neighbor window, by proxy.", "short", 12, 9},
		over(gaugesBy("source", `smithproxy_neighbors{source=~"$source"}`), "{{source}}")).DataLinks(ofProxy())
}

func hostsDiscovered() panel {
	return bars(about{"New hosts over time", "Client addresses that the proxy reported as new.", "short", 12, 9},
		over(sinceOrNone(`smithproxy_neighbors_discovered_total{source=~"$source"}`), "{{source}}")).DataLinks(ofProxy())
}

const (
	namedHosts   = `smithproxy_neighbor_last_seen_timestamp_seconds{source=~"$source", address=~"$address", address!="_other"}`
	namedServers = `smithproxy_sni_connections_total{source=~"$source", sni!~"_other|_invalid"}`
)

// firstSeen returns the time in milliseconds of the first sample in the time range, of the series that had none in the
// week before it.
func firstSeen(label, series string) string {
	return `min by (source, ` + label + `) (min_over_time(timestamp(` + series + `)[$__range:$__interval])) * 1000
			unless on (source, ` + label + `) last_over_time(` + series + `[1w] offset $__range)
			or on () ` + relabel("vector(NaN)", label, "none", "")
}

func newHostTable() panel {
	return records(about{"New hosts by name", "Client addresses that Prometheus had not seen in the week before the time range, of those with a series of their own. The address links to its connections.", "none", 12, 10}, "First seen", true, []column{
		{field: "address", title: "Address", links: cellLink("Connections of ${__value.raw}", searchURL+"&${source:queryparam}&var-client=${__value.raw}")},
		{field: "source", title: "Proxy"},
		{field: "Value", title: "First seen", unit: "dateTimeAsIso"},
	}, rows(firstSeen("address", namedHosts)))
}

func newServerTable() panel {
	return records(about{"New server names", "TLS server names that Prometheus had not seen in the week before the time range, of those with a series of their own. The name links to its connections.", "none", 12, 10}, "First seen", true, []column{
		{field: "sni", title: "Server name", links: cellLink("Connections to ${__value.raw}", searchURL+"&${source:queryparam}&var-server=${__value.raw}")},
		{field: "source", title: "Proxy"},
		{field: "Value", title: "First seen", unit: "dateTimeAsIso"},
	}, rows(firstSeen("sni", namedServers)))
}

func hostTable() panel {
	return records(about{"Recently seen hosts", "Client addresses with a series of their own, by the time at which the proxy last reported them. The address links to its connections.", "none", 24, 10}, "Last seen", true, []column{
		{field: "address", title: "Address", links: cellLink("Connections of ${__value.raw}", searchURL+"&${source:queryparam}&var-client=${__value.raw}")},
		{field: "source", title: "Proxy"},
		{field: "Value", title: "Last seen", unit: "dateTimeFromNow"},
	},
		rows(`topk by (source) (100, max by (source, address) (max_over_time(`+namedHosts+`[$__range])) * 1000)`))
}

func entropyCells(direction, title, scheme string) panel {
	return density(about{title, "Distribution of the payload entropy of connections. Text has around 5 bits per byte, compressed or encrypted data more than 7.5.", bitsPerByte, 12, 10}, scheme,
		buckets(`sum by (le) (increase(smithproxy_payload_entropy_bits_bucket{source=~"$source", direction="`+direction+`"}[$__rate_interval]))`)).
		YAxis(bucketAxis(bitsPerByte).Decimals(1))
}

func highUploads() panel {
	return stacks(about{"High-entropy uploads", "Uploads above the chosen entropy per second, by proxy.", connectionsPerSecond, 12, 9},
		over("("+highEntropy(" by (source)", "rate", "$__rate_interval")+`)
			and on (source) sum by (source) (increase(smithproxy_payload_entropy_bits_count{source=~"$source", direction="up"}[$__range] @ end())) > 0`, "{{source}}")).
		DataLinks(toConnections("Their connections", "var-source=${__field.labels.source}&${entropy:queryparam}"))
}

func highUploadShare() panel {
	return lines(about{"Share of high-entropy uploads", "Share of measured uploads above the chosen entropy, by proxy. A host that uploads encrypted files makes it rise.", "percentunit", 12, 9},
		over(`(`+highEntropy(" by (source)", "rate", "$__rate_interval")+`) / (`+allUploads(" by (source)", "rate", "$__rate_interval")+` > 0)`, "{{source}}")).
		FillOpacity(0).Max(1).DataLinks(toConnections("Their connections", "var-source=${__field.labels.source}&${entropy:queryparam}"))
}

func entropyQuantiles() panel {
	quantile := func(q, direction string) string {
		return `histogram_quantile(` + q + `, sum by (le) (rate(smithproxy_payload_entropy_bits_bucket{source=~"$source", direction="` + direction + `"}[$__rate_interval])))`
	}
	return paint(lines(about{"Entropy quantiles", "Median and 90th percentile of the payload entropy. Diamonds are single uploads and link to their traces.", bitsPerByte, 12, 9},
		traced(quantile("0.5", "up"), "up, 50 %"), over(quantile("0.9", "up"), "up, 90 %"),
		over(quantile("0.5", "down"), "down, 50 %"), over(quantile("0.9", "down"), "down, 90 %")),
		[]seriesColor{{"up, 50 %", upload}, {"up, 90 %", bad}, {"down, 50 %", download}, {"down, 90 %", restart}}).
		FillOpacity(0).Max(8)
}

func entropyByProxy() panel {
	return lines(about{"Entropy of uploads by proxy", "90th percentile of the upload entropy, by proxy.", bitsPerByte, 12, 9},
		over(`histogram_quantile(0.9, sum by (source, le) (rate(smithproxy_payload_entropy_bits_bucket{source=~"$source", direction="up"}[$__rate_interval]))) >= 0`, "{{source}}")).
		FillOpacity(0).Max(8).DataLinks(ofProxy())
}

// skewQuantiles is not a heatmap, because Grafana assumes 0 as the lower bound of the lowest bucket.
func skewQuantiles() panel {
	quantile := func(q string) string {
		return `histogram_quantile(` + q + `, sum by (le) (rate(smithproxy_flow_skew_ratio_bucket{source=~"$source"}[$__rate_interval])))`
	}
	return paint(lines(about{"Flow skew", "Quantiles of (down − up) / (down + up) of the payload: −1 is upload only, 1 is download only.", "none", 12, 10},
		over(quantile("0.1"), "10 %"), over(quantile("0.5"), "50 %"), over(quantile("0.9"), "90 %")),
		[]seriesColor{{"10 %", upload}, {"50 %", good}, {"90 %", download}}).
		FillOpacity(0).Min(-1).Max(1)
}

func skewShares() panel {
	at := func(le string) string {
		return `sum(rate(smithproxy_flow_skew_ratio_bucket{source=~"$source", le="` + le + `"}[$__rate_interval]))`
	}
	whole := `sum(rate(smithproxy_flow_skew_ratio_count{source=~"$source"}[$__rate_interval]))`
	return paint(stacks(about{"Uploads and downloads", "Connections per second with a skew up to −0.75 (upload at least seven times the download), above 0.75 (the reverse), or in between.", connectionsPerSecond, 12, 10},
		over(at("-0.75"), "mostly up"), over(at("0.75")+" - "+at("-0.75"), "both ways"), over(whole+" - "+at("0.75"), "mostly down")),
		[]seriesColor{{"mostly up", upload}, {"both ways", good}, {"mostly down", download}})
}
