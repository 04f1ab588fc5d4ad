package collector

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Storage is what the exporter says of what it keeps on disk. Its methods are safe for use by many
// goroutines.
type Storage struct {
	faults             *prometheus.CounterVec
	unjournaled        prometheus.Counter
	entries, replaying prometheus.Gauge
}

// StorageState is looked at by each scrape, and must not wait for a disk.
type StorageState struct {
	// JournalBytes and OutboxBytes are on disk.
	JournalBytes, OutboxBytes func() int64
	// Pending is how many spans wait, and Oldest since when the first of them does; zero if none does.
	Pending func() int
	Oldest  func() time.Time
}

// What can go wrong with what is on disk.
const (
	PartJournal = "journal"
	PartOutbox  = "outbox"
	FaultWrite  = "write" // something could not be written, and is in memory only
	FaultRead   = "read"  // something could not be read, and will be tried again
	FaultDamage = "damage"
)

// NewStorage returns the metrics of the storage, registered with r.
func NewStorage(r prometheus.Registerer, state StorageState) *Storage {
	const prefix = "smithproxy_exporter_"
	s := &Storage{
		faults: counter(prefix+"storage_faults_total",
			"Failures to write to the storage or to read from it, and places where what was written is damaged.",
			"part", "fault"),
		unjournaled: prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "events_unjournaled_total",
			Help: "Events and decisions that were answered without having been written down, for the disk did not take them."}),
		entries: prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + "replay_entries",
			Help: "Entries of the journal that were read at the start."}),
		replaying: prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + "replay_duration_seconds",
			Help: "How long the journal was read at the start."}),
	}
	read := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + name, Help: help}, value)
	}
	r.MustRegister(s.faults, s.unjournaled, s.entries, s.replaying,
		read("journal_bytes", "Size on disk of the events that may be needed to bring the state back.",
			func() float64 { return float64(state.JournalBytes()) }),
		read("outbox_bytes", "Size on disk of the spans that wait.",
			func() float64 { return float64(state.OutboxBytes()) }),
		read("spans_pending", "Spans that wait to be accepted by the tracing backend.",
			func() float64 { return float64(state.Pending()) }),
		read("spans_oldest_pending_age_seconds", "How long the oldest of the spans that wait has waited; 0 if none does.",
			func() float64 { return age(state.Oldest()) }),
	)
	for _, part := range []string{PartJournal, PartOutbox} {
		for _, fault := range []string{FaultWrite, FaultRead, FaultDamage} {
			s.faults.WithLabelValues(part, fault)
		}
	}
	return s
}

func age(since time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return max(0, time.Since(since).Seconds())
}

// Fault counts what went wrong with a part of the storage, n times.
func (s *Storage) Fault(part, fault string, n int) {
	s.faults.WithLabelValues(part, fault).Add(float64(n))
}

// Unjournaled counts events that were answered without having been written down.
func (s *Storage) Unjournaled(events int) { s.unjournaled.Add(float64(events)) }

// Replayed says what the start has read.
func (s *Storage) Replayed(entries int, took time.Duration) {
	s.entries.Set(float64(entries))
	s.replaying.Set(took.Seconds())
}
