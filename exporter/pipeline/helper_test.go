package pipeline_test

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"smithproxy_exporter/exporter/pipeline"
	"smithproxy_exporter/exporter/store"
	"smithproxy_exporter/exporter/track"
)

// newPipeline runs by the clock of a bubble.
func newPipeline(m *metrics, sinks ...track.Sink) *pipeline.Pipeline {
	return pipeline.New(pipeline.Options{
		Track: track.DefaultConfig(), Now: time.Now, Tick: tick, Sinks: sinks, Metrics: m,
		Logger: slog.New(slog.DiscardHandler),
	})
}

func openStore(t *testing.T, path string, faults func(op, path string) error) *store.Store {
	t.Helper()
	s, err := store.Open(path, store.Options{Config: store.Config{MaxSize: store.MinMaxSize}, Logger: slog.New(slog.DiscardHandler), Faults: faults})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// metrics counts in the goroutine of the pipeline.
type metrics struct {
	mu      sync.Mutex
	unsaved int
	behind  bool
	records int
}

func (m *metrics) Unsaved(events int) { m.mu.Lock(); m.unsaved += events; m.mu.Unlock() }
func (m *metrics) Behind(b bool)      { m.mu.Lock(); m.behind = b; m.mu.Unlock() }

func (m *metrics) lacksChanges() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.behind
}

func (m *metrics) Restored(records int, _ time.Duration) {
	m.mu.Lock()
	m.records = records
	m.mu.Unlock()
}
