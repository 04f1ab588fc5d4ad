package main

import (
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// metrics is a parsed exposition.
type metrics map[string]*dto.MetricFamily

func parseMetrics(t *testing.T, exposition string) metrics {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(exposition))
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// sum adds up the series of a metric that have the labels, each as name=value. The count of a
// histogram goes by its name with _count.
func (m metrics) sum(name string, labels ...string) float64 {
	family, ok := m[name]
	if !ok {
		family = m[strings.TrimSuffix(name, "_count")]
	}
	total := 0.0
	for _, series := range family.GetMetric() {
		has := map[string]struct{}{}
		for _, l := range series.GetLabel() {
			has[l.GetName()+"="+l.GetValue()] = struct{}{}
		}
		if slices.ContainsFunc(labels, func(l string) bool { _, ok := has[l]; return !ok }) {
			continue
		}
		total += series.GetCounter().GetValue() + series.GetGauge().GetValue() +
			float64(series.GetHistogram().GetSampleCount())
	}
	return total
}
