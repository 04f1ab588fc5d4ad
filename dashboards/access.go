package dashboards

// access returns the dashboard of access-requests: verdicts, rules, lists, and how long proxies block.
func access() *board {
	requests := `smithproxy_access_requests_total{source=~"$source"}`
	return &board{
		uid: uidPrefix + "access", title: "Access", link: "Access",
		description: "Access-requests, their verdicts, the rules that decided, and the time it took.",
		variables: []variable{
			prometheusSource(), proxies(),
			labelValues("verdict", "Verdict", requests, "verdict"), labelValues("rule", "Rule", requests, "rule"),
		},
		rows: []row{
			{panels: accessNumbers()},
			{title: "Verdicts", panels: []panel{verdicts(), rejectShare(), decisionsByRule(), decisionsByProxy(), ruleTable()}},
			{title: "Who is rejected", panels: []panel{rejectedClients(), rejectedServers()}},
			{title: "Answers without the rules", panels: []panel{defaultAnswers(), unanswered()}},
			{title: "Dry run", panels: []panel{dryRuns(), dryRunTable()}},
			{title: "Lists", panels: []panel{listSizes(), listAges()}},
			{title: "Decision time", panels: []panel{decisionTimes(), decisionQuantiles()}},
		},
	}
}

const chosenDecisions = `source=~"$source", verdict=~"$verdict", rule=~"$rule"`

func accessNumbers() []panel {
	decisionTime := func(q string) string {
		return `histogram_quantile(` + q + `, sum by (le) (rate(smithproxy_access_request_duration_seconds_bucket{source=~"$source"}[$__range]))) >= 0`
	}
	rejected := `sum(increase(smithproxy_access_requests_total{source=~"$source", verdict="reject", rule=~"$rule"}[$__range]))`
	return []panel{
		number(about{"Access-requests", "Decided connections per second.", "reqps", 5, 4}, always(neutral), toPanel("access", "Decisions by proxy"),
			over(orZero(`sum(rate(smithproxy_access_requests_total{`+chosenDecisions+`}[$__rate_interval]))`), "requests")),
		number(about{"Rejected", "Rejected connections in the time range.", "short", 5, 4}, zeroIsGood(bad), chosen("Rejected connections", "var-verdict=reject"),
			now(orZero("round("+rejected+")"), "rejected")),
		number(about{"Share of rejected", "Share of rejected connections in the time range.", "percentunit", 5, 4}, zeroIsGood(bad), toPanel("access", "Rejected share"),
			now(orZero(rejected+` / (sum(increase(smithproxy_access_requests_total{source=~"$source", rule=~"$rule"}[$__range])) > 0)`), "share")).Decimals(1),
		number(about{"Median decision time", "Median time from the receipt of an access-request to its answer. A proxy blocks until it gets the answer.", "s", 5, 4}, steps{{0, good}, {.005, warn}, {.01, bad}}, toPanel("access", "Decision time quantiles"),
			now(orZero(decisionTime("0.5")), "median")),
		number(about{"99th percentile", "99 % of the access-requests were answered within this time. 10 ms cost a proxy nine tenths of its throughput.", "s", 4, 4}, steps{{0, good}, {.005, warn}, {.01, bad}}, toPanel("access", "Decision time quantiles"),
			now(orZero(decisionTime("0.99")), "99 %")),
	}
}

func verdicts() panel {
	return paint(stacks(about{"Verdicts", "Answers per second, by verdict.", "reqps", 12, 9},
		over(ratesBy("verdict", `smithproxy_access_requests_total{`+chosenDecisions+`}`), "{{verdict}}")), verdictColors).
		DataLinks(chosen("Connections decided with ${__field.labels.verdict}", "var-verdict=${__field.labels.verdict}"))
}

func rejectShare() panel {
	return lines(about{"Rejected share", "Share of rejected connections, by proxy, of those that rejected any.", "percentunit", 12, 9},
		over(orNone(`(`+countedBy("source", `smithproxy_access_requests_total{source=~"$source", rule=~"$rule", verdict="reject"}`)+`)
			/ on (source) (sum by (source) (rate(smithproxy_access_requests_total{source=~"$source", rule=~"$rule"}[$__rate_interval])) > 0)`,
			"source", counted(`smithproxy_access_requests_total{source=~"$source", rule=~"$rule", verdict="reject"}`)), "{{source}}")).
		FillOpacity(0).LineWidth(2).Max(1).
		DataLinks(toConnections("Rejected connections of ${__field.labels.source}", "var-source=${__field.labels.source}&var-verdict=reject"))
}

func decisionsByRule() panel {
	return stacks(about{"Decisions by rule", "Decisions per second, by rule.", "reqps", 12, 9},
		over(ratesBy("rule", `smithproxy_access_requests_total{`+chosenDecisions+`}`), "{{rule}}")).
		DataLinks(chosen("Connections that ${__field.labels.rule} decided", byRule("${__field.labels.rule:percentencode}")))
}

func decisionsByProxy() panel {
	return stacks(about{"Decisions by proxy", "Decisions per second, by proxy.", "reqps", 12, 9},
		over(ratesBy("source", `smithproxy_access_requests_total{`+chosenDecisions+`}`), "{{source}}")).DataLinks(ofProxy())
}

// byRule returns the part of a link to the search that finds the connections of a rule.
func byRule(rule string) string { return "var-filter=span.smithproxy.access.rule%3D%22" + rule + "%22" }

// ofRule returns a link from the name of a rule to the connections that it decided.
func ofRule() []map[string]any {
	return cellLink("Connections of ${__value.raw}", searchURL+"&${source:queryparam}&"+byRule("${__value.raw:percentencode}"))
}

func ruleTable() panel {
	return records(about{"Rules", "Decisions of each rule in the time range.", "none", 24, 6}, "Decisions", true, []column{
		{field: "rule", title: "Rule", links: ofRule()},
		{field: "verdict", title: "Verdict", mappings: verdictNames},
		{field: "Value #A", title: "Decisions", unit: "short"},
		{field: "Value #B", title: "Share", unit: "percentunit"},
	},
		rows(`round(sum by (rule, verdict) (increase(smithproxy_access_requests_total{`+chosenDecisions+`}[$__range]))) > 0`),
		rows(`(sum by (rule, verdict) (increase(smithproxy_access_requests_total{`+chosenDecisions+`}[$__range])) > 0)
			/ on() group_left() (sum(increase(smithproxy_access_requests_total{`+chosenDecisions+`}[$__range])) > 0)`),
	)
}

func rejectedClients() panel {
	return records(about{"Rejected clients", "Client addresses whose connections were rejected most in the time range, with the rule. The address links to its connections.", "none", 12, 10}, "Rejected", true, []column{
		{field: "client", title: "Client", links: cellLink("Rejected connections of ${__value.raw}", searchURL+"&${source:queryparam}&var-reason=rejected&var-client=${__value.raw}")},
		{field: "network", title: "Network"},
		{field: "rule", title: "Rule", links: ofRule()},
		{field: "Value", title: "Rejected", unit: "short"},
	}, rows(`topk(50, round(sum by (client, network, rule) (increase(smithproxy_access_rejects_total{source=~"$source", rule=~"$rule", client!="_other"}[$__range]))) > 0)`))
}

func rejectedServers() panel {
	return records(about{"Rejected servers", "Server addresses to which connections were rejected most in the time range, with the rule. The rule links to its connections.", "none", 12, 10}, "Rejected", true, []column{
		{field: "server", title: "Server"},
		{field: "rule", title: "Rule", links: ofRule()},
		{field: "Value", title: "Rejected", unit: "short"},
	}, rows(`topk(50, round(sum by (server, rule) (increase(smithproxy_server_rejects_total{source=~"$source", rule=~"$rule", server!="_other"}[$__range]))) > 0)`))
}

func defaultAnswers() panel {
	return lines(about{"Default answers", "Access-requests per second that were answered with the default verdict because the rules could not be asked, by reason.", "reqps", 12, 8},
		over(ratesBy("reason", `smithproxy_exporter_access_requests_defaulted_total`), "{{reason}}"))
}

func unanswered() panel {
	return lines(about{"Unanswered", "Connections per second whose proxy reports an access-request without a valid answer. Current proxies block them.", connectionsPerSecond, 12, 8},
		over(ratesBy("source", `smithproxy_access_unanswered_total{source=~"$source"}`), "{{source}}"))
}

func dryRuns() panel {
	return stacks(about{"Would be rejected", "Connections per second that a dry-run rule would have rejected. The other rules decided about them.", "reqps", 12, 8},
		over(ratesBy("rule", `smithproxy_access_dry_run_rejects_total{source=~"$source"}`), "{{rule}}"))
}

func dryRunTable() panel {
	return records(about{"Dry-run rules", "Connections that each dry-run rule would have rejected in the time range, by proxy.", "none", 12, 8}, "Would be rejected", true, []column{
		{field: "rule", title: "Rule", links: ofRule()},
		{field: "source", title: "Proxy"},
		{field: "Value", title: "Would be rejected", unit: "short"},
	},
		rows(`round(sum by (rule, source) (increase(smithproxy_access_dry_run_rejects_total{source=~"$source"}[$__range]))) > 0`))
}

func listSizes() panel {
	return lines(about{"List entries", "Networks and addresses on the lists in force.", "short", 12, 8},
		over("max by (file) (smithproxy_exporter_access_list_entries)", "{{file}}")).FillOpacity(0)
}

func listAges() panel {
	return lines(about{"List age", "Time since the lists in force were modified. It rises if a feed is no longer updated.", "s", 12, 8},
		over("time() - max by (file) (smithproxy_exporter_access_list_modified_timestamp_seconds)", "{{file}}")).FillOpacity(0)
}

func decisionTimes() panel {
	return density(about{"Decision time", "Distribution of the time from the receipt of an access-request to its answer.", "s", 12, 10}, "Purples",
		buckets(`sum by (le) (increase(smithproxy_access_request_duration_seconds_bucket{source=~"$source"}[$__rate_interval]))`))
}

func decisionQuantiles() panel {
	quantile := func(q string) string {
		return `histogram_quantile(` + q + `, sum by (le) (rate(smithproxy_access_request_duration_seconds_bucket{source=~"$source"}[$__rate_interval])))`
	}
	return lines(about{"Decision time quantiles", "Time within which 50 %, 90 % and 99 % of the access-requests were answered.", "s", 12, 10},
		over(quantile("0.5"), "50 %"), over(quantile("0.9"), "90 %"), over(quantile("0.99"), "99 %")).FillOpacity(0)
}
