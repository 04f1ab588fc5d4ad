package collector

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// StoreState gives scrapes access to the store. Its functions must not wait for a disk.
type StoreState struct {
	// Bytes returns the size of the store on disk.
	Bytes func() int64
	// Pending returns the number of waiting spans, and their size in bytes.
	Pending func() (spans int, bytes int64)
	// Oldest returns when the oldest of them was stored, the zero time without any.
	Oldest func() time.Time
}

// storeMetrics are the metrics of the store. Its methods are safe for concurrent use.
type storeMetrics struct {
	errors                  *prometheus.CounterVec
	damaged, unsaved        prometheus.Counter
	behind, records, loaded prometheus.Gauge
}

func newStoreMetrics(r prometheus.Registerer, state StoreState) *storeMetrics {
	const prefix = "smithproxy_exporter_"
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + name, Help: help})
	}
	total := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + name, Help: help})
	}
	s := &storeMetrics{
		errors:  counter(prefix+"store_errors_total", "Total number of failed store operations, by operation.", "operation"),
		damaged: total("store_damaged_total", "Total number of stored items that could not be read."),
		unsaved: total("events_unsaved_total", "Total number of events acknowledged without being persisted."),
		behind:  gauge("store_behind", "Whether the store lacks recent changes because the disk failed (1) or not (0)."),
		records: gauge("store_loaded_records", "Number of records loaded at the start."),
		loaded:  gauge("store_load_duration_seconds", "Duration of loading the state at the start in seconds."),
	}
	read := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + name, Help: help}, value)
	}
	r.MustRegister(s.errors, s.damaged, s.unsaved, s.behind, s.records, s.loaded,
		read("store_bytes", "Size of the store on disk in bytes.", func() float64 { return float64(state.Bytes()) }),
		read("spans_pending", "Number of spans waiting to be accepted by the tracing backend.", func() float64 {
			spans, _ := state.Pending()
			return float64(spans)
		}),
		read("spans_pending_bytes", "Encoded size of the spans waiting to be accepted by the tracing backend in bytes.", func() float64 {
			_, bytes := state.Pending()
			return float64(bytes)
		}),
		read("spans_oldest_pending_age_seconds", "Age of the oldest waiting span in seconds, 0 if none waits.",
			func() float64 { return age(state.Oldest()) }),
	)
	for _, operation := range []string{"write", "read"} {
		s.errors.WithLabelValues(operation)
	}
	return s
}

func age(since time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return max(0, time.Since(since).Seconds())
}

// WriteFailed counts a failed write of the store.
func (s *storeMetrics) WriteFailed() { s.errors.WithLabelValues("write").Inc() }

// ReadFailed counts a failed read of the store.
func (s *storeMetrics) ReadFailed() { s.errors.WithLabelValues("read").Inc() }

// Damaged counts stored items that could not be read.
func (s *storeMetrics) Damaged(n int) { s.damaged.Add(float64(n)) }

// Unsaved counts events that were acknowledged without being persisted.
func (s *storeMetrics) Unsaved(events int) { s.unsaved.Add(float64(events)) }

// Behind records whether the store lacks recent changes.
func (s *storeMetrics) Behind(behind bool) {
	s.behind.Set(0)
	if behind {
		s.behind.Set(1)
	}
}

// Restored records how many records were loaded at the start, and how long that took.
func (s *storeMetrics) Restored(records int, took time.Duration) {
	s.records.Set(float64(records))
	s.loaded.Set(took.Seconds())
}
