package dashboards

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// annotations returns the marks that all dashboards show on their graphs. Each can be switched off at the top.
func annotations() []dashboard.AnnotationQuery {
	return []dashboard.AnnotationQuery{
		mark("Proxy restarts", restart, newSince("max by (source)", `smithproxy_restarts_total{source=~"$source"}`)+" > 0", "{{source}} restarted", false),
		// Consecutive values above 0 become one region.
		mark("Proxies down", bad, `max by (source) (smithproxy_up{source=~"$source"}) == bool 0`, "{{source}} is down", false),
		mark("Configuration reloads", neutral, "max by (instance) (smithproxy_exporter_config_last_reload_success_timestamp_seconds) * 1000", "{{instance}} loaded its configuration", true),
		mark("Exporter restarts", warn, "max by (instance) (process_start_time_seconds and on (job, instance) smithproxy_exporter_build_info) * 1000", "{{instance}} started", true),
	}
}

// mark returns the annotation of what an expression is above 0 for. With atValue the value is the time of the mark in
// milliseconds, so that a gauge of a time gives one mark for each of its values.
func mark(name, color, expr, title string, atValue bool) dashboard.AnnotationQuery {
	step := "60s" // the least; Grafana raises it for long time ranges
	return dashboard.AnnotationQuery{
		Name: name, Datasource: &metrics, Enable: true, IconColor: color,
		Expr: &expr, TitleFormat: &title, Step: &step, UseValueForTime: &atValue,
	}
}
