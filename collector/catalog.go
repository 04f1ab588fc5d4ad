package collector

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Entry documents a metric.
type Entry struct {
	Name, Type, Unit, Help string
	Labels                 []string
	Buckets                []float64 // upper bounds of a histogram's classic buckets, but +Inf
}

// Catalog is every metric that this package makes, by name.
func Catalog() []Entry {
	var entries []Entry
	for _, m := range New(DefaultConfig(), time.Now).metrics {
		entries = append(entries, Entry{
			Name: m.name, Type: strings.ToLower(m.kind.String()), Unit: m.unit, Help: m.help, Labels: m.labels, Buckets: m.buckets,
		})
	}
	NewExporter((*registrar)(&entries), ExporterOptions{})
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return entries
}

// registrar is a prometheus.Registerer that collects the descriptions of metrics.
type registrar []Entry

var descriptor = regexp.MustCompile(`fqName: "([^"]+)", help: "([^"]*)".* variableLabels: {([^}]*)}`)

// Register adds the metrics of a collector.
func (r *registrar) Register(c prometheus.Collector) error {
	const most = 8 // of one collector
	descriptions := make(chan *prometheus.Desc, most)
	c.Describe(descriptions)
	close(descriptions)
	for d := range descriptions {
		match := descriptor.FindStringSubmatch(d.String())
		e := Entry{Name: match[1], Help: match[2], Type: typeOf(match[1], c), Unit: unitOf(match[1])}
		if match[3] != "" {
			e.Labels = strings.Split(match[3], ",")
		}
		*r = append(*r, e)
	}
	return nil
}

// MustRegister registers all.
func (r *registrar) MustRegister(list ...prometheus.Collector) {
	for _, c := range list {
		_ = r.Register(c) // never fails
	}
}

// Unregister does nothing.
func (r *registrar) Unregister(prometheus.Collector) bool { return false }

// typeOf uses the naming rules, because a description has no type.
func typeOf(name string, c prometheus.Collector) string {
	kind := dto.MetricType_GAUGE
	if strings.HasSuffix(name, "_total") {
		kind = dto.MetricType_COUNTER
	}
	switch c.(type) {
	case prometheus.Histogram, *prometheus.HistogramVec:
		kind = dto.MetricType_HISTOGRAM
	}
	return strings.ToLower(kind.String())
}

// unitOf returns the unit in the name of one of the exporter's own metrics: its last word by the naming rules, or
// else what it counts. It returns "" for a unit that is missing here.
func unitOf(name string) string {
	name = strings.TrimSuffix(strings.TrimPrefix(name, "smithproxy_exporter_"), "_total")
	for _, unit := range []string{"seconds", "bytes", "ratio"} {
		if name == unit || strings.HasSuffix(name, "_"+unit) {
			return unit
		}
	}
	if strings.HasSuffix(name, "_successful") || strings.HasSuffix(name, "_behind") {
		return "0 or 1"
	}
	for _, counted := range []string{"events", "spans", "errors", "records", "entries", "requests", "damaged", "connections", "traces"} {
		if slices.Contains(strings.Split(name, "_"), counted) {
			return counted
		}
	}
	return ""
}
