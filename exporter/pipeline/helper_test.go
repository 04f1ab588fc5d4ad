package pipeline_test

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/pipeline"
	"smithproxy_exporter/exporter/track"
)

// newPipeline runs by the clock of a bubble. keeper may be nil.
func newPipeline(j pipeline.Journal, keeper pipeline.Keeper, sinks ...track.Sink) *pipeline.Pipeline {
	return pipeline.New(pipeline.Config{
		Track: track.DefaultOptions(), Now: time.Now, Tick: tick, Journal: j, Keeper: keeper, Sinks: sinks,
		Meter: &meter{}, Logger: slog.New(slog.DiscardHandler),
	})
}

// body is an event as it comes off the wire.
func body(ev event.Event) []byte {
	switch ev.Payload.(type) {
	case event.Start:
		return fmt.Appendf(nil, `{"action":%q,"source":%q,"id":%q,"type":"proxy","details":{"info":{"session":%q}}}`,
			ev.Action, ev.Source, ev.ID, label)
	case event.Stop:
		return fmt.Appendf(nil, `{"action":%q,"source":%q,"id":%q,"type":"proxy","details":{"info":{"session":%q,"bytes_up":1,"bytes_down":2}}}`,
			ev.Action, ev.Source, ev.ID, label)
	}
	return nil
}

// memory is a journal that outlives a pipeline, and fails when it is told to.
type memory struct {
	mu                sync.Mutex
	entries           [][]byte
	full              bool
	broken            bool
	rewrites, refused int
}

var errFull = errors.New("no space left")

func (m *memory) Replay(visit func([]byte) error) error {
	for _, e := range m.entries {
		if err := visit(e); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Append(entries [][]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken = m.broken || m.full; m.broken {
		m.refused++
		return errFull
	}
	for _, e := range entries {
		m.entries = append(m.entries, bytes.Clone(e))
	}
	return nil
}

func (m *memory) Rewrite(entries iter.Seq[[]byte]) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.full {
		m.broken = true
		return errFull
	}
	m.rewrites++
	m.entries, m.broken = nil, false
	for e := range entries {
		m.entries = append(m.entries, bytes.Clone(e))
	}
	return nil
}

func (m *memory) Size() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for _, e := range m.entries {
		n += len(e)
	}
	return int64(n)
}

// crashed is what is left of it when the process dies now.
func (m *memory) crashed() *memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &memory{entries: slices.Clone(m.entries)}
}

// set changes it while a pipeline uses it.
func (m *memory) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

// meter counts in the goroutine of the pipeline, before it answers.
type meter struct{ unjournaled int }

func (m *meter) Unjournaled(events int)    { m.unjournaled += events }
func (*meter) Replayed(int, time.Duration) {}
