package collector

import (
	"cmp"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// take moves the series that were added since the last scrape to this scrape. It takes constant time.
func (m *metric) take() {
	m.taken, m.added = m.added, nil
	m.scrapes++
}

// merge merges the taken series into the ordered ones, and removes dropped ones. Of a dropped series and its successor
// with the same labels, only the second is left, because the first is marked before the second is created.
func (m *metric) merge() {
	isGone := func(s *series) bool { return s.gone.Load() }
	ordered := slices.DeleteFunc(m.ordered, isGone)
	if len(m.taken) > 0 {
		taken := slices.DeleteFunc(m.taken, isGone)
		m.taken = nil
		slices.SortFunc(taken, byLabels)
		merged := make([]*series, 0, len(ordered)+len(taken))
		for _, s := range taken {
			n, _ := slices.BinarySearchFunc(ordered, s, byLabels)
			merged = append(append(merged, ordered[:n]...), s)
			ordered = ordered[n:]
		}
		ordered = append(merged, ordered...)
	}
	m.ordered = ordered
}

// byLabels compares series in the order of client_golang.
func byLabels(a, b *series) int {
	for i, l := range a.labels {
		if c := cmp.Compare(l.GetValue(), b.labels[i].GetValue()); c != 0 {
			return c
		}
	}
	return 0
}

// family returns a copy of the ordered series, nil if there are none. It makes one allocation for all series, so that
// scrapes are cheap.
func (m *metric) family() *dto.MetricFamily {
	n := len(m.ordered)
	if n == 0 {
		return nil
	}
	metrics, list, values := make([]dto.Metric, n), make([]*dto.Metric, n), make([]float64, n)
	for i, s := range m.ordered {
		list[i], values[i] = &metrics[i], s.value()
	}
	switch m.kind {
	case dto.MetricType_COUNTER:
		counters := make([]dto.Counter, n)
		for i, s := range m.ordered {
			counters[i].Value, counters[i].CreatedTimestamp = &values[i], s.created
			metrics[i].Counter = &counters[i]
		}
	case dto.MetricType_GAUGE:
		gauges := make([]dto.Gauge, n)
		for i := range m.ordered {
			gauges[i].Value = &values[i]
			metrics[i].Gauge = &gauges[i]
		}
	case dto.MetricType_HISTOGRAM:
		for i, s := range m.ordered {
			s.histogram.write(&metrics[i])
		}
	}
	for i, s := range m.ordered {
		metrics[i].Label = s.labels // also for histograms, which client_golang wrote without labels
	}
	f := &dto.MetricFamily{Name: &m.name, Help: &m.help, Type: m.kind.Enum(), Metric: list}
	// OpenMetrics requires a unit to be a part of the name; docs/metrics.md has the others.
	if strings.HasSuffix(strings.TrimSuffix(m.name, "_total"), "_"+m.unit) {
		f.Unit = &m.unit
	}
	return f
}
