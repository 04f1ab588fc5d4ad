package collector

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// metric is what is said of one metric, and its series. The series are our own, and not those of
// client_golang's vectors: a vector costs about ten times as much at a scrape, for it makes, hashes and
// sorts anew what has not changed. Metrics and series are guarded by the lock of their Sink.
type metric struct {
	name, help, unit string
	kind             dto.MetricType
	labels           []string
	buckets          []float64 // of histograms; the last one, +Inf, is left out

	series []*series // in the order of their labels
	added  []*series // since they were put in order, and not among them yet
	stale  bool      // whether some of series are gone
}

// series is one series of a metric.
type series struct {
	of     *metric
	labels []*dto.LabelPair // by name
	value  float64
	// created is when the series began, of counters: a Prometheus that wants to knows by it that the
	// series was 0 then.
	created   *timestamppb.Timestamp
	histogram *histogram
	gone      bool
}

// maxAdded is how many series are added before they are put in order: all at once would take long.
const maxAdded = 512

// with adds a series, at 0. There must be none with the same labels, unless it is gone.
func (m *metric) with(now time.Time, labels ...*dto.LabelPair) *series {
	slices.SortFunc(labels, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
	s := &series{of: m, labels: labels}
	switch m.kind {
	case dto.MetricType_COUNTER:
		s.created = timestamppb.New(now)
	case dto.MetricType_HISTOGRAM:
		s.histogram = newHistogram(m)
	}
	m.added = append(m.added, s)
	if len(m.added) >= maxAdded {
		m.settle()
	}
	return s
}

func (s *series) drop() {
	s.gone = true
	s.of.stale = true
}

func dropAll(list []*series) {
	for _, s := range list {
		s.drop()
	}
}

// settle puts the series in order. It makes another slice of them, for scrapes may hold the one there is.
func (m *metric) settle() {
	isGone := func(s *series) bool { return s.gone }
	if m.stale {
		m.series = slices.DeleteFunc(slices.Clone(m.series), isGone)
		m.stale = false
	}
	if len(m.added) == 0 {
		return
	}
	added := slices.DeleteFunc(m.added, isGone)
	slices.SortFunc(added, byLabels)
	merged := make([]*series, 0, len(m.series)+len(added))
	rest := m.series
	for _, s := range added {
		n, _ := slices.BinarySearchFunc(rest, s, byLabels)
		merged = append(append(merged, rest[:n]...), s)
		rest = rest[n:]
	}
	m.series = append(merged, rest...)
	m.added = nil
}

// byLabels is the order in which client_golang has series, too.
func byLabels(a, b *series) int {
	for i, l := range a.labels {
		if c := cmp.Compare(l.GetValue(), b.labels[i].GetValue()); c != 0 {
			return c
		}
	}
	return 0
}

// gathered is the family of a metric that is made in steps, in values that do not change any more. They are made in
// one piece for all series, which is what makes scrapes cheap.
type gathered struct {
	of       *metric
	series   []*series // a slice that settle does not change
	done     int
	metrics  []dto.Metric
	list     []*dto.Metric
	values   []float64
	counters []dto.Counter
	gauges   []dto.Gauge
}

const (
	// stepSeries and stepHistograms are how many series a step of a scrape copies: about half a millisecond's work,
	// for which facts wait.
	stepSeries     = 4096
	stepHistograms = 64
)

// gather begins to make the family of the metric; nil without series.
func (m *metric) gather() *gathered {
	m.settle()
	n := len(m.series)
	if n == 0 {
		return nil
	}
	g := &gathered{of: m, series: m.series, metrics: make([]dto.Metric, n), list: make([]*dto.Metric, n)}
	switch m.kind {
	case dto.MetricType_COUNTER:
		g.values, g.counters = make([]float64, n), make([]dto.Counter, n)
	case dto.MetricType_GAUGE:
		g.values, g.gauges = make([]float64, n), make([]dto.Gauge, n)
	}
	return g
}

// step copies some more series, and reports whether there are more.
func (g *gathered) step() (more bool) {
	most := stepSeries
	if g.of.kind == dto.MetricType_HISTOGRAM {
		most = stepHistograms
	}
	end := min(len(g.series), g.done+most)
	for i := g.done; i < end; i++ {
		s, to := g.series[i], &g.metrics[i]
		g.list[i] = to
		switch g.of.kind {
		case dto.MetricType_COUNTER:
			g.values[i] = s.value
			g.counters[i].Value, g.counters[i].CreatedTimestamp = &g.values[i], s.created
			to.Counter = &g.counters[i]
		case dto.MetricType_GAUGE:
			g.values[i] = s.value
			g.gauges[i].Value = &g.values[i]
			to.Gauge = &g.gauges[i]
		case dto.MetricType_HISTOGRAM:
			s.histogram.write(to)
		}
		to.Label = s.labels
	}
	g.done = end
	return end < len(g.series)
}

func (g *gathered) family() *dto.MetricFamily {
	m := g.of
	f := &dto.MetricFamily{Name: &m.name, Help: &m.help, Type: m.kind.Enum(), Metric: g.list}
	// OpenMetrics has a unit be a part of the name; of others only docs/metrics.md tells.
	if strings.HasSuffix(strings.TrimSuffix(m.name, "_total"), "_"+m.unit) {
		f.Unit = &m.unit
	}
	return f
}

// names has the few names of labels once, for tens of thousands of series: what scrapes read should be
// little, and close together.
var names sync.Map // of *string, by name

func pair(name, value string) *dto.LabelPair {
	known, ok := names.Load(name)
	if !ok {
		known, _ = names.LoadOrStore(name, proto.String(name))
	}
	p := &struct {
		dto.LabelPair
		value string
	}{value: value}
	p.Name, p.Value = known.(*string), &p.value
	return &p.LabelPair
}
