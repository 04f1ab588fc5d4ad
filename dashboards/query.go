package dashboards

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// Data sources are variables, so that the dashboards work in every installation.
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

// over returns a range query.
func over(expr, legend string) query { return promql(expr, legend).Range() }

// traced returns a range query with exemplars.
func traced(expr, legend string) query { return over(expr, legend).Exemplar(true) }

// now returns an instant query at the end of the time range.
func now(expr, legend string) query { return promql(expr, legend).Instant() }

// rows returns an instant query whose result is a table with one row for each series.
func rows(expr string) query { return now(expr, "").Format(prometheus.PromQueryFormatTable) }

// buckets returns a range query of a classic histogram by le.
func buckets(expr string) query {
	return over(expr, "{{le}}").Format(prometheus.PromQueryFormatHeatmap)
}

// orZero returns an expression that is 0 while expr has no series.
func orZero(expr string) string { return "(" + expr + ") or vector(0)" }

// ratesBy returns the rate per second of a counter by a label, see countedBy; "none" at 0 if nothing was counted.
func ratesBy(label, counter string) string {
	return orNone(countedBy(label, counter), label, counted(counter))
}

// counted returns a condition: whether a counter was counted in the time range.
func counted(counter string) string { return `sum(increase(` + counter + `[$__range] @ end())) > 0` }

// orNone returns an expression by a label that has the value "none", at 0, if a condition is not met: an empty graph
// would look like a failed query.
func orNone(expr, label, condition string) string {
	return expr + `
			or on () ` + relabel("vector(0)", label, "none", "") + ` unless on () ` + condition
}

// countedBy returns the rate per second of a counter by a label. Values of the label that were not counted in the time
// range are left out, so that legends have only what a graph shows.
func countedBy(label, counter string) string {
	return `sum by (` + label + `) (rate(` + counter + `[$__rate_interval]))
			and on (` + label + `) sum by (` + label + `) (increase(` + counter + `[$__range] @ end())) > 0`
}

// rateOf returns the rate per second of a counter if it was counted in the time range.
func rateOf(counter string) string {
	return `sum(rate(` + counter + `[$__rate_interval])) and ` + counted(counter)
}

// gaugesBy returns the sum of a gauge by a label, of the values of the label that had one in the time range.
func gaugesBy(label, gauge string) string {
	return orNone(`sum by (`+label+`) (`+gauge+`)
			and on (`+label+`) sum by (`+label+`) (max_over_time(`+gauge+`[$__range] @ end())) > 0`,
		label, `sum(max_over_time(`+gauge+`[$__range] @ end())) > 0`)
}

// newSince returns what was counted since the previous point of a graph, by an aggregation such as sum by (source). Each
// count is in one point. increase counts it in several, because it looks further back than to the previous point.
func newSince(aggregation, counter string) string {
	return aggregation + ` (clamp_min(` + counter + ` - (` + counter + ` offset $__interval), 0))`
}

// relabel returns an expression that replaces one value of a label.
func relabel(expr, label, text, value string) string {
	return `label_replace(` + expr + `, "` + label + `", "` + text + `", "` + label + `", "` + value + `")`
}

// Names for label values that stand for something else.
const (
	noApp    = "no app"
	noPolicy = "no policy"
	others   = "all others"

	noNetwork = "no network"
)

func readableApp(expr string) string {
	return relabel(relabel(expr, "app", noApp, ""), "app", others, "_other")
}

func readablePolicy(expr string) string {
	return relabel(relabel(expr, "policy", noPolicy, "-1"), "policy", others, "_other")
}

// sinceOrNone returns newSince of a counter by proxy; "none" at 0 if nothing was counted in the time range.
func sinceOrNone(counter string) string {
	return orNone(newSince("sum by (source)", counter)+" > 0", "source", counted(counter))
}
