package dashboards

// exporter: can what the other dashboards show be believed?
func exporter() *board {
	return &board{
		uid: uidPrefix + "exporter", title: "Exporter", link: "Exporter",
		description: "What the exporter receives, refuses, keeps, sends on and costs.",
		variables: []variable{
			prometheusSource(), proxies(),
			labelValues("job", "Job", "smithproxy_exporter_build_info", "job"),
			labelValues("instance", "Instance", `smithproxy_exporter_build_info{job=~"$job"}`, "instance"),
		},
		rows: []row{
			{panels: exporterNumbers()},
			{title: "Events", panels: []panel{eventsByAction(), eventsRejected(), eventsDuplicate(), eventsLate(), eventsUntracked(), adopted()}},
			{title: "Traces", panels: []panel{spansSent(), spansPending(), spansOldest()}},
			{title: "Storage", panels: []panel{
				storageSize(), storageErrors(), storeBehind(), eventsUnsaved(), accessFallbacks(),
			}},
			{title: "Series and scrapes", panels: []panel{seriesLimited(), seriesByMetric(), distinctValues(), proxiesRemembered(), scrapeDuration(), scrapeSamples()}},
			{title: "Process", panels: []panel{cpu(), memory(), goroutines(), collections(), files(), contentShown()}},
		},
	}
}

const thisExporter = `job=~"$job", instance=~"$instance"`

func exporterNumbers() []panel {
	return []panel{
		number(about{"Exporters up", "Exporters that Prometheus could scrape.", "none", 3, 4}, steps{{0, bad}, {1, good}},
			now(orZero(`sum(up{`+thisExporter+`} and on(job, instance) smithproxy_exporter_build_info)`), "up")),
		number(about{"Configuration", "Whether the last attempt to load the configuration succeeded.", "none", 3, 4}, always(muted),
			now(`min(smithproxy_exporter_config_last_reload_successful{`+thisExporter+`})`, "loaded")).Mappings(loadedOrNot),
		number(about{"Events", "Events accepted, a second.", "eps", 3, 4}, always(neutral),
			over(orZero(`sum(rate(smithproxy_events_total{`+thisExporter+`, source=~"$source"}[$__rate_interval]))`), "events")),
		number(about{"Unsaved", "Events acknowledged without being persisted, in the time range: the disk failed, and a crash would have lost them.", "short", 3, 4}, zeroIsGood(bad),
			now(orZero(`round(sum(increase(smithproxy_exporter_events_unsaved_total{`+thisExporter+`}[$__range])))`), "unsaved")),
		number(about{"Spans pending", "Spans that wait to be accepted by the tracing backend.", "short", 3, 4}, always(neutral),
			over(orZero(`sum(smithproxy_exporter_spans_pending{`+thisExporter+`})`), "pending")),
		number(about{"Oldest span", "How long the oldest of the spans that wait has waited. An alert fires above ten minutes.", "s", 3, 4}, steps{{0, good}, {60, warn}, {600, bad}},
			over(orZero(`max(smithproxy_exporter_spans_oldest_pending_age_seconds{`+thisExporter+`})`), "oldest")),
		number(about{"Spans dropped", "Spans that were dropped, in the time range: their traces are missing or incomplete.", "short", 3, 4}, zeroIsGood(bad),
			now(orZero(`round(sum(increase(smithproxy_exporter_spans_dropped_total{`+thisExporter+`}[$__range])))`), "dropped")),
		number(about{"Limited", "Increments that were counted in _other, in the time range. Sums stay exact; the values are lost.", "short", 3, 4}, zeroIsGood(warn),
			now(orZero(`round(sum(increase(smithproxy_exporter_series_limited_total{`+thisExporter+`}[$__range])))`), "limited")),
	}
}

func eventsByAction() panel {
	return stacks(about{"Events by action", "Events that were accepted, a second, repeated deliveries included.", "eps", 12, 8},
		over(`sum by (action) (rate(smithproxy_events_total{`+thisExporter+`, source=~"$source"}[$__rate_interval]))`, "{{action}}"))
}

func eventsRejected() panel {
	return lines(about{"Events rejected", "Requests to the webhook that were not accepted, a second, by reason.", "reqps", 12, 8},
		over(`sum by (reason) (rate(smithproxy_exporter_events_rejected_total{`+thisExporter+`}[$__rate_interval]))`, "{{reason}}"))
}

func eventsDuplicate() panel {
	return lines(about{"Duplicate events", "Events that said nothing new, a second: deliveries that the proxy repeated. They are not counted twice.", "eps", 12, 8},
		over(`sum by (action) (rate(smithproxy_exporter_events_duplicate_total{`+thisExporter+`, source=~"$source"}[$__rate_interval]))`, "{{action}}"))
}

func eventsLate() panel {
	return lines(about{"Late events", "Events a second with new information about a connection whose trace was sent already. A longer connections.grace_period catches more of them.", "eps", 12, 8},
		over(`sum by (action) (rate(smithproxy_exporter_events_late_total{`+thisExporter+`, source=~"$source"}[$__rate_interval]))`, "{{action}}")).AxisSoftMax(1)
}

func eventsUntracked() panel {
	return lines(about{"Untracked events", "Events a second that were answered and then ignored because proxies.max was reached: there are too many proxies, or sources are forged.", "eps", 12, 8},
		over(`sum by (action) (rate(smithproxy_exporter_events_untracked_total{`+thisExporter+`}[$__rate_interval]))`, "{{action}}")).AxisSoftMax(1)
}

func adopted() panel {
	return lines(about{"Connections adopted", "Connections a second that a ping lists as open and of which nothing was received: they began while the exporter was away.", connectionsPerSecond, 12, 8},
		over(`sum by (source) (rate(smithproxy_connections_adopted_total{`+thisExporter+`, source=~"$source"}[$__rate_interval]))`, "{{source}}")).AxisSoftMax(1)
}

func spansSent() panel {
	rate := func(outcome string) string {
		return `sum(rate(smithproxy_exporter_spans_` + outcome + `_total{` + thisExporter + `}[$__rate_interval]))`
	}
	return paint(lines(about{"Spans sent", "Spans a second that the tracing backend accepted, that were in a failed attempt (they are retried), and that were dropped.", "suffix: spans/s", 8, 8},
		over(rate("exported"), "exported"), over(rate("failed"), "failed"), over(rate("dropped"), "dropped")),
		[]seriesColor{{"exported", good}, {"failed", warn}, {"dropped", bad}})
}

func spansPending() panel {
	return lines(about{"Spans pending", "Spans that wait to be accepted by the tracing backend. Rises while the backend is away; they are on disk, and survive a restart. Without a backend it stays 0.", "short", 8, 8},
		over(`sum by (instance) (smithproxy_exporter_spans_pending{`+thisExporter+`})`, "{{instance}}")).AxisSoftMax(10)
}

func spansOldest() panel {
	return lines(about{"Age of the oldest span", "How long the oldest of the spans that wait has waited. A steady rise: the backend takes none. Spans that only memory holds are not in it.", "s", 8, 8},
		over(`max by (instance) (smithproxy_exporter_spans_oldest_pending_age_seconds{`+thisExporter+`})`, "{{instance}}")).AxisSoftMax(10)
}

func storageSize() panel {
	return lines(about{"Size on disk", "Size of the store, and of the spans in it. At storage.max_size the oldest spans are dropped.", "bytes", 12, 8},
		over(`sum by (instance) (smithproxy_exporter_store_bytes{`+thisExporter+`})`, "{{instance}} store"),
		over(`sum by (instance) (smithproxy_exporter_spans_pending_bytes{`+thisExporter+`})`, "{{instance}} spans"))
}

func storageErrors() panel {
	return lines(about{"Store errors", "Failed operations of the store a second, and damaged items. Damage that a start finds is older than the first scrape and is not shown.", "cps", 12, 8},
		over(`sum by (operation) (rate(smithproxy_exporter_store_errors_total{`+thisExporter+`}[$__rate_interval]))`, "{{operation}}"),
		over(`sum(rate(smithproxy_exporter_store_damaged_total{`+thisExporter+`}[$__rate_interval]))`, "damaged")).AxisSoftMax(1)
}

func storeBehind() panel {
	return lines(about{"Store behind", "Whether events are acknowledged from memory because the disk fails (1).", "none", 8, 8},
		over(`max by (instance) (smithproxy_exporter_store_behind{`+thisExporter+`})`, "{{instance}}")).AxisSoftMax(1)
}

func eventsUnsaved() panel {
	return lines(about{"Events unsaved", "Events a second that were acknowledged without being persisted, because the disk failed. A crash before it works again loses them.", "eps", 8, 8},
		over(`sum by (instance) (rate(smithproxy_exporter_events_unsaved_total{`+thisExporter+`}[$__rate_interval]))`, "{{instance}}")).AxisSoftMax(1)
}

func accessFallbacks() panel {
	return lines(about{"Default answers", "Access-requests a second that were answered with the default verdict because the rules could not be asked, and connections whose proxy reports no valid answer.", "suffix: /s", 8, 8},
		over(`sum by (reason) (rate(smithproxy_exporter_access_requests_defaulted_total{`+thisExporter+`}[$__rate_interval]))`, "{{reason}}"),
		over(`sum(rate(smithproxy_access_unanswered_total{`+thisExporter+`}[$__rate_interval]))`, "unanswered")).AxisSoftMax(1)
}

func seriesLimited() panel {
	return lines(about{"Series limited", "Increments a second that were counted in _other, by metric, because metrics.max_values was reached.", "cps", 12, 8},
		over(`sum by (metric) (rate(smithproxy_exporter_series_limited_total{`+thisExporter+`}[$__rate_interval]))`, "{{metric}}"))
}

func distinctValues() panel {
	return lines(about{"Distinct values", "Estimated number of values of the limited labels of a metric, for the proxy with the most. Values beyond metrics.max_values are in _other.", "short", 12, 8},
		over(`max by (metric) (smithproxy_exporter_distinct_values{`+thisExporter+`, source=~"$source"})`, "{{metric}}"))
}

func proxiesRemembered() panel {
	return lines(about{"Proxies remembered", "Proxies with series and connections, at most proxies.max.", "short", 12, 8},
		over(`sum by (instance) (smithproxy_exporter_proxies{`+thisExporter+`})`, "{{instance}}"))
}

func seriesByMetric() panel {
	return ranking(about{"Metrics with the most series", "Series that the exporter makes Prometheus keep; all names begin with smithproxy_.", "short", 12, 8}, neutral,
		now(`label_replace(topk(8, count by (__name__) ({__name__=~"smithproxy_.+", `+thisExporter+`})), "metric", "$1", "__name__", "smithproxy_(.+)")`, "{{metric}}"))
}

func scrapeDuration() panel {
	return lines(about{"Scrape duration", "How long Prometheus took to scrape the exporter.", "s", 12, 8},
		over(`max by (instance) (scrape_duration_seconds{`+thisExporter+`} and on(job, instance) smithproxy_exporter_build_info)`, "{{instance}}"))
}

func scrapeSamples() panel {
	return lines(about{"Samples a scrape", "How many values each scrape brought.", "short", 12, 8},
		over(`max by (instance) (scrape_samples_scraped{`+thisExporter+`} and on(job, instance) smithproxy_exporter_build_info)`, "{{instance}}"))
}

func cpu() panel {
	return lines(about{"CPU", "Cores in use.", "suffix: cores", 8, 8},
		over(`sum by (instance) (rate(process_cpu_seconds_total{`+thisExporter+`}[$__rate_interval]))`, "{{instance}}"))
}

func memory() panel {
	return lines(about{"Memory", "Resident memory of the process, and of that the Go heap in use.", "bytes", 8, 8},
		over(`sum by (instance) (process_resident_memory_bytes{`+thisExporter+`})`, "{{instance}} resident"),
		over(`sum by (instance) (go_memstats_heap_inuse_bytes{`+thisExporter+`})`, "{{instance}} heap"))
}

func goroutines() panel {
	return lines(about{"Goroutines", "A steady rise is a leak.", "short", 8, 8},
		over(`sum by (instance) (go_goroutines{`+thisExporter+`})`, "{{instance}}"))
}

func collections() panel {
	return lines(about{"Garbage collection pauses", "The longest pause that Go remembers.", "s", 8, 8},
		over(`max by (instance) (go_gc_duration_seconds{`+thisExporter+`, quantile=~"1(\\.0)?"})`, "{{instance}}"))
}

func files() panel {
	return lines(about{"Open files", "File descriptors in use, most of them connections of proxies.", "short", 8, 8},
		over(`sum by (instance) (process_open_fds{`+thisExporter+`})`, "{{instance}}"))
}

func contentShown() panel {
	return paint(lines(about{"Content shown to the exporter", "Decrypted payload that connection-content events carried. It is counted and not kept; 0 without a content profile that sends it.", "Bps", 8, 8},
		over(`sum by (direction) (rate(smithproxy_content_bytes_total{`+thisExporter+`, source=~"$source"}[$__rate_interval]))`, "{{direction}}")), directionColors).AxisSoftMax(1000)
}
