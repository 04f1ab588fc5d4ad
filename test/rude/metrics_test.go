//go:build rude

package rude

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// metrics is a parsed exposition.
type metrics map[string]*dto.MetricFamily

func parseMetrics(t *testing.T, exposition []byte) metrics {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(exposition))
	if err != nil {
		t.Fatalf("the exposition cannot be parsed: %v", err)
	}
	return families
}

// What an exposition may have, whatever was sent: about 1,000 proxies (proxies.max), each with the series of one
// that sent a few events.
const (
	maxSeries     = 120_000
	maxLabelBytes = 128
)

// check finds series that are there twice, label values that nobody can read, values that no counter can have, and
// too many series.
func (m metrics) check(t *testing.T) {
	t.Helper()
	series := 0
	for name, family := range m {
		seen := map[string]bool{}
		for _, s := range family.GetMetric() {
			series++
			key := labels(s)
			if seen[key] {
				t.Errorf("%s{%s} is there twice", name, key)
			}
			seen[key] = true
			for _, l := range s.GetLabel() {
				if v := l.GetValue(); !utf8.ValidString(v) || len(v) > maxLabelBytes && strings.HasPrefix(name, "smithproxy_") {
					t.Errorf("%s has the label value %q", name, v)
				}
			}
			if v := s.GetCounter().GetValue(); v < 0 || math.IsNaN(v) || math.IsInf(v, 0) {
				t.Errorf("%s{%s} is %v", name, key, v)
			}
		}
	}
	if series > maxSeries {
		t.Errorf("%d series, want at most %d", series, maxSeries)
	}
}

func labels(s *dto.Metric) string {
	var pairs []string
	for _, l := range s.GetLabel() {
		pairs = append(pairs, l.GetName()+"="+l.GetValue())
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "\x00")
}

// value adds up the series of a metric that have the labels, each as name=value.
func (m metrics) value(name string, labels ...string) float64 {
	total := 0.0
	for _, series := range m[name].GetMetric() {
		has := map[string]bool{}
		for _, l := range series.GetLabel() {
			has[l.GetName()+"="+l.GetValue()] = true
		}
		if slices.ContainsFunc(labels, func(l string) bool { return !has[l] }) {
			continue
		}
		total += series.GetCounter().GetValue() + series.GetGauge().GetValue() + series.GetUntyped().GetValue() +
			float64(series.GetHistogram().GetSampleCount())
	}
	return total
}

// between judges a counter by how many events were acknowledged and how many were sent.
func (m metrics) between(t *testing.T, acknowledged, sent int, name string, labels ...string) {
	t.Helper()
	if v := m.value(name, labels...); v < float64(acknowledged) || v > float64(sent) {
		t.Errorf("%s{%s} is %v after %d events, %d of them acknowledged", name, strings.Join(labels, ","), v, sent, acknowledged)
	}
}
