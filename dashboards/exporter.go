package dashboards

// exporter returns the dashboard of the exporter itself: whether the other dashboards can be trusted.
func exporter() *board {
	return &board{
		uid: uidPrefix + "exporter", title: "Exporter", link: "Exporter",
		description: "What the exporter receives, rejects, stores and sends, and the resources that it uses.",
		variables: []variable{
			prometheusSource(), proxies(),
			labelValues("job", "Job", "smithproxy_exporter_build_info", "job"),
			labelValues("instance", "Instance", `smithproxy_exporter_build_info{job=~"$job"}`, "instance"),
		},
		rows: []row{
			{panels: exporterNumbers()},
			{title: "Events", panels: []panel{eventsByAction(), eventsRejected(), eventsDuplicate(), eventsLate(), eventsUntracked(), adopted()}},
			{title: "Webhook listener", panels: []panel{webhookConnections(), webhookBodies(), connectionsRefused(), handshakeErrors()}},
			{title: "Traces", panels: []panel{spansSent(), spansPending(), spansOldest(), tracesSampled(), spansUnsampled()}},
			{title: "Storage", panels: []panel{storageSize(), storageErrors(), storeBehind(), eventsUnsaved(), configurationAge()}},
			{title: "Series and scrapes", panels: []panel{seriesLimited(), seriesByMetric(), distinctValues(), knownProxies(), scrapeDuration(), scrapeSamples()}},
			{title: "Process", panels: []panel{cpu(), memory(), goroutines(), collections(), files(), receivedContent()}},
		},
	}
}

const thisExporter = `job=~"$job", instance=~"$instance"`

func exporterNumbers() []panel {
	return []panel{
		number(about{"Exporters up", "Exporters that Prometheus could scrape.", "none", 3, 4}, steps{{0, bad}, {1, good}}, toPanel("exporter", "Scrape duration"),
			now(orZero(`sum(up{`+thisExporter+`} and on(job, instance) smithproxy_exporter_build_info)`), "up")),
		number(about{"Configuration", "Whether the last attempt to load the configuration succeeded.", "none", 3, 4}, always(muted), toPanel("exporter", "Configuration age"),
			now(`min(smithproxy_exporter_config_last_reload_successful{`+thisExporter+`})`, "loaded")).Mappings(loadedOrNot),
		number(about{"Events", "Accepted events per second.", "eps", 3, 4}, always(neutral), toPanel("exporter", "Events by action"),
			over(orZero(`sum(rate(smithproxy_events_total{`+thisExporter+`, source=~"$source"}[$__rate_interval]))`), "events")),
		number(about{"Unsaved", "Events acknowledged without being persisted in the time range. The disk failed, and a crash would have lost them.", "short", 3, 4}, zeroIsGood(bad), toPanel("exporter", "Events unsaved"),
			now(orZero(`round(sum(increase(smithproxy_exporter_events_unsaved_total{`+thisExporter+`}[$__range])))`), "unsaved")),
		number(about{"Spans pending", "Spans waiting to be accepted by the tracing backend.", "short", 3, 4}, always(neutral), toPanel("exporter", "Waiting spans"),
			over(orZero(`sum(smithproxy_exporter_spans_pending{`+thisExporter+`})`), "pending")),
		number(about{"Oldest span", "Age of the oldest waiting span. SmithproxyExporterSpansPending is the alert about it.", "s", 3, 4}, steps{{0, good}, {60, warn}, {600, bad}}, toPanel("exporter", "Age of the oldest span"),
			over(orZero(`max(smithproxy_exporter_spans_oldest_pending_age_seconds{`+thisExporter+`})`), "oldest")),
		number(about{"Spans dropped", "Dropped spans in the time range. Their traces are missing or incomplete.", "short", 3, 4}, zeroIsGood(bad), toPanel("exporter", "Spans sent"),
			now(orZero(`round(sum(increase(smithproxy_exporter_spans_dropped_total{`+thisExporter+`}[$__range])))`), "dropped")),
		number(about{"Limited", "Increments counted in _other in the time range. Sums are exact; the label values are lost.", "short", 3, 4}, always(neutral), toPanel("exporter", "Series limited"),
			now(orZero(`round(sum(increase(smithproxy_exporter_series_limited_total{`+thisExporter+`}[$__range])))`), "limited")),
	}
}

func eventsByAction() panel {
	return stacks(about{"Events by action", "Accepted events per second, repeated deliveries included.", "eps", 12, 9},
		over(ratesBy("action", `smithproxy_events_total{`+thisExporter+`, source=~"$source"}`), "{{action}}"))
}

func eventsRejected() panel {
	return lines(about{"Events rejected", "Rejected webhook requests per second, by reason.", "reqps", 12, 9},
		over(ratesBy("reason", `smithproxy_exporter_events_rejected_total{`+thisExporter+`}`), "{{reason}}"))
}

func eventsDuplicate() panel {
	return lines(about{"Duplicate events", "Repeated deliveries per second. They are not counted twice.", "eps", 12, 9},
		over(ratesBy("action", `smithproxy_exporter_events_duplicate_total{`+thisExporter+`, source=~"$source"}`), "{{action}}"))
}

func eventsLate() panel {
	return lines(about{"Late events", "Events per second with new data about a connection whose trace was already complete. A longer connections.grace_period reduces them.", "eps", 12, 9},
		over(ratesBy("action", `smithproxy_exporter_events_late_total{`+thisExporter+`, source=~"$source"}`), "{{action}}"))
}

func eventsUntracked() panel {
	return lines(about{"Untracked events", "Events per second that were answered and then ignored because proxies.max was reached. Raise the limit, or look for forged sources.", "eps", 12, 9},
		over(ratesBy("action", `smithproxy_exporter_events_untracked_total{`+thisExporter+`}`), "{{action}}"))
}

func adopted() panel {
	return lines(about{"Connections adopted", "Connections per second that a ping listed as open before any event of them was received. They began while the exporter was away.", connectionsPerSecond, 12, 9},
		over(ratesBy("source", `smithproxy_connections_adopted_total{`+thisExporter+`, source=~"$source"}`), "{{source}}"))
}

func webhookConnections() panel {
	return lines(about{"Connections", "Open connections to the webhook listener. Proxies open one for each event, so the number is small unless clients keep them.", "short", 12, 9},
		over(`sum by (instance) (smithproxy_exporter_webhook_connections{`+thisExporter+`})`, "{{instance}}")).AxisSoftMax(10)
}

func webhookBodies() panel {
	return lines(about{"Memory of bodies", "Memory of large request bodies. At webhook.limits.body_memory further large bodies wait.", "bytes", 12, 9},
		over(`sum by (instance) (smithproxy_exporter_webhook_body_bytes{`+thisExporter+`})`, "{{instance}}"))
}

func connectionsRefused() panel {
	return lines(about{"Connections refused", "Connections per second to the webhook listener that were refused, or closed for a newer one, by reason.", connectionsPerSecond, 12, 9},
		over(ratesBy("reason", `smithproxy_exporter_connections_refused_total{`+thisExporter+`}`), "{{reason}}"))
}

func handshakeErrors() panel {
	return lines(about{"TLS handshakes failed", "Failed TLS handshakes per second, by reason. A proxy that does not trust the certificate loses every event.", "cps", 12, 9},
		over(ratesBy("reason", `smithproxy_exporter_tls_handshake_errors_total{`+thisExporter+`}`), "{{reason}}"))
}

func spansSent() panel {
	rate := func(outcome string) query {
		return over(rateOf(`smithproxy_exporter_spans_`+outcome+`_total{`+thisExporter+`}`), outcome)
	}
	return paint(lines(about{"Spans sent", "Spans per second that the tracing backend accepted, that were in a failed attempt and are retried, and that were dropped.", "suffix: spans/s", 8, 9},
		rate("exported"), rate("failed"), rate("dropped")),
		[]seriesColor{{"exported", good}, {"failed", warn}, {"dropped", bad}})
}

func spansPending() panel {
	return lines(about{"Waiting spans", "Spans waiting to be accepted by the tracing backend. They are on disk and survive a restart. Without a backend the value is 0.", "short", 8, 9},
		over(`sum by (instance) (smithproxy_exporter_spans_pending{`+thisExporter+`})`, "{{instance}}")).AxisSoftMax(10)
}

func spansOldest() panel {
	return lines(about{"Age of the oldest span", "Age of the oldest waiting span. A steady rise means that the backend accepts none. Spans that are only in memory do not count.", "s", 8, 9},
		over(`max by (instance) (smithproxy_exporter_spans_oldest_pending_age_seconds{`+thisExporter+`})`, "{{instance}}")).AxisSoftMax(10)
}

func configurationAge() panel {
	return lines(about{"Configuration age", "Time since the last successful load of the configuration.", "s", 8, 9},
		over(`time() - max by (instance) (smithproxy_exporter_config_last_reload_success_timestamp_seconds{`+thisExporter+`})`, "{{instance}}")).FillOpacity(0)
}

func tracesSampled() panel {
	return stacks(about{"Traces by sampling", "Traces per second, by what kept them: a sampling rule, the ratio, or none if they were left out (traces.sampling).", "cps", 12, 9},
		over(ratesBy("sampling", `smithproxy_exporter_traces_total{`+thisExporter+`}`), "{{sampling}}"))
}

func spansUnsampled() panel {
	return lines(about{"Spans left out", "Spans per second that were not made because sampling left out their trace.", "suffix: spans/s", 12, 9},
		over(`sum by (instance) (rate(smithproxy_exporter_spans_unsampled_total{`+thisExporter+`}[$__rate_interval]))`, "{{instance}}"))
}

func storageSize() panel {
	return lines(about{"Size on disk", "Size of the store, and of the waiting spans. From 60 % of storage.max_size on, the oldest spans are dropped.", "bytes", 12, 9},
		over(`sum by (instance) (smithproxy_exporter_store_bytes{`+thisExporter+`})`, "{{instance}} store"),
		over(`sum by (instance) (smithproxy_exporter_spans_pending_bytes{`+thisExporter+`})`, "{{instance}} spans"))
}

func storageErrors() panel {
	return lines(about{"Store errors", "Failed store operations and damaged items per second. Damage found at the start precedes the first scrape and is not shown.", "cps", 12, 9},
		over(ratesBy("operation", `smithproxy_exporter_store_errors_total{`+thisExporter+`}`), "{{operation}}"),
		over(rateOf(`smithproxy_exporter_store_damaged_total{`+thisExporter+`}`), "damaged"))
}

func storeBehind() panel {
	return lines(about{"Store behind", "Whether the store lacks recent changes because the disk fails (1) or not (0).", "none", 8, 9},
		over(`max by (instance) (smithproxy_exporter_store_behind{`+thisExporter+`})`, "{{instance}}"))
}

func eventsUnsaved() panel {
	return lines(about{"Events unsaved", "Events per second acknowledged without being persisted because the disk failed. A crash before it works again loses them.", "eps", 8, 9},
		over(ratesBy("instance", `smithproxy_exporter_events_unsaved_total{`+thisExporter+`}`), "{{instance}}"))
}

func seriesLimited() panel {
	return lines(about{"Series limited", "Increments per second counted in _other because metrics.max_values was reached, by metric.", "cps", 12, 9},
		over(ratesBy("metric", `smithproxy_exporter_series_limited_total{`+thisExporter+`}`), "{{metric}}"))
}

func distinctValues() panel {
	return lines(about{"Distinct values", "Estimated number of values of a metric's limited labels, for the proxy with the most. Values beyond metrics.max_values are counted in _other.", "short", 12, 9},
		over(`max by (metric) (smithproxy_exporter_distinct_values{`+thisExporter+`, source=~"$source"})`, "{{metric}}"))
}

func knownProxies() panel {
	return lines(about{"Known proxies", "Number of known proxies, at most proxies.max.", "short", 12, 9},
		over(`sum by (instance) (smithproxy_exporter_proxies{`+thisExporter+`})`, "{{instance}}"))
}

func seriesByMetric() panel {
	return ranking(about{"Metrics with the most series", "Metrics of the exporter with the most series. All names begin with smithproxy_.", "short", 12, 9}, neutral,
		now(`label_replace(topk(8, count by (__name__) ({__name__=~"smithproxy_.+", `+thisExporter+`})), "metric", "$1", "__name__", "smithproxy_(.+)")`, "{{metric}}"))
}

func scrapeDuration() panel {
	return lines(about{"Scrape duration", "Duration of a scrape.", "s", 12, 9},
		over(`max by (instance) (scrape_duration_seconds{`+thisExporter+`} and on(job, instance) smithproxy_exporter_build_info)`, "{{instance}}"))
}

func scrapeSamples() panel {
	return lines(about{"Samples per scrape", "Number of samples in a scrape.", "short", 12, 9},
		over(`max by (instance) (scrape_samples_scraped{`+thisExporter+`} and on(job, instance) smithproxy_exporter_build_info)`, "{{instance}}"))
}

func cpu() panel {
	return lines(about{"CPU", "Cores in use.", "suffix: cores", 8, 9},
		over(`sum by (instance) (rate(process_cpu_seconds_total{`+thisExporter+`}[$__rate_interval]))`, "{{instance}}"))
}

func memory() panel {
	return lines(about{"Memory", "Resident memory of the process, and Go heap in use.", "bytes", 8, 9},
		over(`sum by (instance) (process_resident_memory_bytes{`+thisExporter+`})`, "{{instance}} resident"),
		over(`sum by (instance) (go_memstats_heap_inuse_bytes{`+thisExporter+`})`, "{{instance}} heap"))
}

func goroutines() panel {
	return lines(about{"Goroutines", "Number of goroutines. A steady rise indicates a leak.", "short", 8, 9},
		over(`sum by (instance) (go_goroutines{`+thisExporter+`})`, "{{instance}}"))
}

func collections() panel {
	return lines(about{"Garbage collection pauses", "Longest recent pause of the garbage collector.", "s", 8, 9},
		over(`max by (instance) (go_gc_duration_seconds{`+thisExporter+`, quantile=~"1(\\.0)?"})`, "{{instance}}"))
}

func files() panel {
	return lines(about{"Open files", "File descriptors in use, most of them connections of proxies.", "short", 8, 9},
		over(`sum by (instance) (process_open_fds{`+thisExporter+`})`, "{{instance}}"))
}

func receivedContent() panel {
	return paint(lines(about{"Received content", "Decrypted payload in connection-content events. The exporter counts its size and discards it. 0 unless a content profile has webhook_enable.", "Bps", 8, 9},
		over(ratesBy("direction", `smithproxy_content_bytes_total{`+thisExporter+`, source=~"$source"}`), "{{direction}}")), directionColors).AxisSoftMax(1000)
}
