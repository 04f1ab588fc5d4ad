package doctor

import (
	"bytes"
	"fmt"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// metrics are the families of /metrics by name.
type metrics map[string]*dto.MetricFamily

func parseMetrics(text []byte) (metrics, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("not in the text format of Prometheus: %w", err)
	}
	return families, nil
}

// each returns the values of a family by a label.
func (m metrics) each(name, label string) map[string]float64 {
	values := map[string]float64{}
	for _, metric := range m[name].GetMetric() {
		for _, pair := range metric.GetLabel() {
			if pair.GetName() == label {
				values[pair.GetValue()] = number(metric)
			}
		}
	}
	return values
}

// value returns the sum of a family.
func (m metrics) value(name string) (sum float64, ok bool) {
	for _, metric := range m[name].GetMetric() {
		sum, ok = sum+number(metric), true
	}
	return sum, ok
}

// label returns the value of a label of the first metric of a family.
func (m metrics) label(name, label string) string {
	for _, metric := range m[name].GetMetric() {
		for _, pair := range metric.GetLabel() {
			if pair.GetName() == label {
				return pair.GetValue()
			}
		}
	}
	return ""
}

// number returns the value of a metric that has one. At most one of the three is not 0.
func number(metric *dto.Metric) float64 {
	return metric.GetGauge().GetValue() + metric.GetCounter().GetValue() + metric.GetUntyped().GetValue()
}
