package collector

import (
	"math"
	"testing"

	dto "github.com/prometheus/client_model/go"

	"smithproxy_exporter/exporter/traceid"
	"smithproxy_exporter/exporter/track"
)

// TestExemplars: each bucket keeps an exemplar for a while, and then shows the next one. A value that was not counted
// here is none.
func TestExemplars(t *testing.T) {
	h := newHistogram(&metric{name: "x", help: "x", buckets: []float64{1, 2, 3}})
	connection := func(id string) *track.Connection { return &track.Connection{Source: "a", ID: id} }
	early, late := traceid.Of("a", "early"), traceid.Of("a", "late")
	for _, value := range []float64{1.5, 2, 10, 1} {
		h.Observe(value)
	}
	h.offer(1.5, connection("early"), epoch)
	h.offer(2, connection("late"), epoch.Add(exemplarEvery)) // bounds belong to the bucket below
	h.offer(10, connection("early"), epoch)
	h.offer(11, connection("late"), epoch.Add(exemplarEvery-1))
	h.offer(2.5, connection("early"), epoch)
	var m dto.Metric
	h.write(&m)
	buckets := m.GetHistogram().GetBucket()
	want := map[float64]struct {
		count uint64
		value float64
		trace traceid.ID
	}{1: {count: 1}, 2: {3, 2, late}, 3: {3, 0, traceid.ID{}}, math.Inf(1): {4, 10, early}}
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
