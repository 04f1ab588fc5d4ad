package dashboards

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// Data sources are chosen by variables, so that a dashboard fits every installation.
var (
	metrics = source("prometheus", "${datasource}")
	tempo   = source("tempo", "${tempo}")
	jaeger  = source("jaeger", "${jaeger}")
)

func source(kind, uid string) common.DataSourceRef {
	return common.DataSourceRef{Type: &kind, Uid: &uid}
}

type query = *prometheus.DataqueryBuilder

func promql(expr, legend string) query {
	return prometheus.NewDataqueryBuilder().Datasource(metrics).EditorMode(prometheus.QueryEditorModeCode).
		Expr(strings.TrimSpace(expr)).LegendFormat(legend)
}

// over is a query of values over time.
func over(expr, legend string) query { return promql(expr, legend).Range() }

// traced is a query over time that also asks for exemplars.
func traced(expr, legend string) query { return over(expr, legend).Exemplar(true) }

// now is a query of the values at the end of the time range.
func now(expr, legend string) query { return promql(expr, legend).Instant() }

// rows is a query of the values at the end of the time range, a row a series.
func rows(expr string) query { return now(expr, "").Format(prometheus.PromQueryFormatTable) }

// buckets is a query of a classic histogram over time, by le.
func buckets(expr string) query {
	return over(expr, "{{le}}").Format(prometheus.PromQueryFormatHeatmap)
}

// orZero gives 0 where nothing was counted yet, so that a panel says 0 instead of nothing.
func orZero(expr string) string { return "(" + expr + ") or vector(0)" }

// orNamed is orZero for values by a label: its 0 has that label too.
func orNamed(expr, label, value string) string {
	return "(" + expr + ") or on() " + relabel("vector(0)", label, value, "")
}

// relabel replaces one value of a label, mostly one that means something is not known.
func relabel(expr, label, text, value string) string {
	return `label_replace(` + expr + `, "` + label + `", "` + text + `", "` + label + `", "` + value + `")`
}

// The names that people read for values that stand for something else.
const (
	noApp    = "no app"
	noPolicy = "no policy"
	others   = "all others"
)

func readableApp(expr string) string {
	return relabel(relabel(expr, "app", noApp, ""), "app", others, "_other")
}

func readablePolicy(expr string) string {
	return relabel(relabel(expr, "policy", noPolicy, "-1"), "policy", others, "_other")
}
