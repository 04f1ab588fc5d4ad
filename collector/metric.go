package collector

import (
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// metric is the definition of one metric, and its series. It does not use the vectors of client_golang: a
// scrape of a vector costs about ten times as much, because it builds, hashes and sorts series that have
// not changed.
type metric struct {
	name, help, unit string
	kind             dto.MetricType
	labels           []string
	buckets          []float64 // upper bounds of a histogram's classic buckets, without +Inf

	// The lock of the Sink guards added, the series made since the last scrape, and scrapes, which counts
	// how often a scrape took them.
	added   []*series
	scrapes uint64
	// The scrape lock of the Sink guards ordered, the series that earlier scrapes took, by their labels,
	// and taken, those that this one took.
	ordered, taken []*series
}

// series is one series of a metric. Writers hold the lock of the Sink. A scrape reads it
// without the lock: labels and created never change, and the rest is atomic or has a lock of its own.
type series struct {
	of     *metric
	labels []*dto.LabelPair // by name
	bits   atomic.Uint64    // the value, as math.Float64bits
	// created is when a counter's series began. Prometheus can store a 0 for that time.
	created   *timestamppb.Timestamp
	histogram *histogram
	gone      atomic.Bool

	// index is the position in added, as long as scrape equals the metric's scrapes.
	index  int
	scrape uint64
}

// with adds a series, at 0. There must be none with the same labels, unless it was dropped.
func (m *metric) with(now time.Time, labels ...*dto.LabelPair) *series {
	slices.SortFunc(labels, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
	s := &series{of: m, labels: labels, index: len(m.added), scrape: m.scrapes}
	switch m.kind {
	case dto.MetricType_COUNTER:
		s.created = timestamppb.New(now)
	case dto.MetricType_HISTOGRAM:
		s.histogram = newHistogram(m)
	}
	m.added = append(m.added, s)
	return s
}

func (s *series) value() float64 { return math.Float64frombits(s.bits.Load()) }

func (s *series) set(value float64) { s.bits.Store(math.Float64bits(value)) }

func (s *series) add(n float64) { s.set(s.value() + n) }

// drop removes the series from the exposition: at once if no scrape has taken it yet, else the next scrape
// does.
func (s *series) drop() {
	m := s.of
	if s.gone.Swap(true) || s.scrape != m.scrapes {
		return
	}
	last := len(m.added) - 1
	moved := m.added[last]
	m.added[s.index], moved.index = moved, s.index
	m.added[last] = nil
	m.added = m.added[:last]
}

func dropAll(list []*series) {
	for _, s := range list {
		s.drop()
	}
}

// names has each label name once, for tens of thousands of series: it keeps what a scrape reads small.
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
