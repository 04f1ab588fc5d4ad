package collector

import (
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"smithproxy_exporter/exporter/traceid"
	"smithproxy_exporter/exporter/track"
)

// Native buckets grow by a factor of 1.1. If there are more than nativeBuckets, they widen. They are never reset, so that
// counts only increase.
const (
	nativeFactor  = 1.1
	nativeBuckets = 100
)

// exemplarEvery is the least time between two exemplars of a bucket: that of client_golang's native histograms. Each
// exemplar that a scrape finds new is a dot in a panel. More of them hide the rest: at each scrape it would be one for
// each bucket and series.
const exemplarEvery = 5 * time.Minute

// histogram is a histogram of client_golang with classic and native buckets, and an exemplar of each classic bucket. It
// keeps the exemplars itself, because they come later than their values: when it is known that a trace is kept.
type histogram struct {
	prometheus.Histogram
	bounds []float64

	mu        sync.Mutex // guards exemplars
	exemplars []exemplar // one for each bucket and one for +Inf; nil before the first
}

// exemplar links a value to the trace of its connection.
type exemplar struct {
	trace traceid.ID
	value float64
	at    time.Time // zero for none
}

func newHistogram(m *metric) *histogram {
	return &histogram{bounds: m.buckets, Histogram: prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: m.name, Help: m.help, Buckets: m.buckets,
		NativeHistogramBucketFactor: nativeFactor, NativeHistogramMaxBucketNumber: nativeBuckets,
		NativeHistogramMaxExemplars: -1,
	})}
}

// offer offers a finished connection, whose trace is kept, as an exemplar of a value that was observed before.
func (h *histogram) offer(value float64, c *track.Connection, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.exemplars == nil {
		h.exemplars = make([]exemplar, len(h.bounds)+1)
	}
	bucket, _ := slices.BinarySearch(h.bounds, value)
	if e := &h.exemplars[bucket]; e.at.IsZero() || now.Sub(e.at) >= exemplarEvery {
		*e = exemplar{traceid.Of(c.Source, c.Name()), value, now}
	}
}

var (
	traceLabel = proto.String("trace_id")
	spanLabel  = proto.String("span_id")
)

// write sets the histogram of m. The exemplars are read first, so that their values are counted in it. A value that is not
// was observed by an earlier run of the exporter, or under another label.
func (h *histogram) write(m *dto.Metric) {
	h.mu.Lock()
	exemplars := slices.Clone(h.exemplars)
	h.mu.Unlock()
	_ = h.Write(m)       // does not fail for a histogram of NewHistogram
	counted := uint64(0) // in the buckets below
	for i, e := range exemplars {
		upTo := m.Histogram.GetSampleCount()
		if i < len(h.bounds) {
			upTo = m.Histogram.Bucket[i].GetCumulativeCount()
		}
		empty := upTo == counted
		counted = upTo
		if e.at.IsZero() || empty {
			continue
		}
		if i == len(h.bounds) {
			// client_golang leaves +Inf to the encoders, unless it has to carry an exemplar.
			m.Histogram.Bucket = append(m.Histogram.Bucket, &dto.Bucket{
				CumulativeCount: proto.Uint64(m.Histogram.GetSampleCount()), UpperBound: proto.Float64(math.Inf(1)),
			})
		}
		m.Histogram.Bucket[i].Exemplar = &dto.Exemplar{
			Label: []*dto.LabelPair{
				{Name: traceLabel, Value: proto.String(e.trace.TraceString())},
				{Name: spanLabel, Value: proto.String(e.trace.SpanString())},
			},
			Value: proto.Float64(e.value), Timestamp: timestamppb.New(e.at),
		}
	}
}
