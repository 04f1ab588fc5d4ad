package collector

import (
	"math"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"smithproxy_exporter/exporter/traceid"
)

// Each bucket shows the exemplar of its latest value, whichever of the others have one.
func TestBucketsKeepTheirExemplars(t *testing.T) {
	h := newHistogram(&metric{name: "x", help: "x", buckets: []float64{1, 2, 3}})
	early, late := traceid.Of("a", "early"), traceid.Of("a", "late")
	h.trace(1.5, early, epoch)
	h.trace(2, late, epoch) // bounds belong to the bucket below
	h.trace(10, early, epoch)
	var m dto.Metric
	h.write(&m)
	buckets := m.GetHistogram().GetBucket()
	want := map[float64]struct {
		count uint64
		value float64
		trace traceid.ID
	}{1: {}, 2: {2, 2, late}, 3: {2, 0, traceid.ID{}}, math.Inf(1): {3, 10, early}}
	if len(buckets) != len(want) {
		t.Fatalf("%d buckets, want %d", len(buckets), len(want))
	}
	for _, b := range buckets {
		w, e := want[b.GetUpperBound()], b.GetExemplar()
		if b.GetCumulativeCount() != w.count || e.GetValue() != w.value {
			t.Errorf("bucket %v has %d values and exemplar %v, want %+v", b.GetUpperBound(), b.GetCumulativeCount(), e, w)
		}
		if w.value != 0 && e.GetLabel()[0].GetValue() != w.trace.TraceString() {
			t.Errorf("bucket %v leads to %v, want %s", b.GetUpperBound(), e.GetLabel(), w.trace.TraceString())
		}
	}
}
