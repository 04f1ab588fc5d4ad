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
)

// Native buckets grow by a factor of 1.1. If there are more than nativeBuckets, they widen. They are never reset, so that
// counts only increase.
const (
	nativeFactor  = 1.1
	nativeBuckets = 100
)

// histogram is a histogram of client_golang with classic and native buckets, and the last exemplar of each classic
// bucket. It keeps the exemplars itself, because client_golang would create a protobuf message for each observation, of
// which a scrape shows only the last.
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

// trace observes a value of a connection, with an exemplar.
func (h *histogram) trace(value float64, id traceid.ID, now time.Time) {
	h.Observe(value)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.exemplars == nil {
		h.exemplars = make([]exemplar, len(h.bounds)+1)
	}
	bucket, _ := slices.BinarySearch(h.bounds, value)
	h.exemplars[bucket] = exemplar{id, value, now}
}

var (
	traceLabel = proto.String("trace_id")
	spanLabel  = proto.String("span_id")
)

// write sets the histogram of m. The exemplars are read first, so that their values are counted in it.
func (h *histogram) write(m *dto.Metric) {
	h.mu.Lock()
	exemplars := slices.Clone(h.exemplars)
	h.mu.Unlock()
	_ = h.Write(m) // does not fail for a histogram of NewHistogram
	for i, e := range exemplars {
		if e.at.IsZero() {
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
