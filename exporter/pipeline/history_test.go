package pipeline_test

import (
	"errors"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/history"
	"smithproxy_exporter/exporter/pipeline"
	"smithproxy_exporter/exporter/store"
	"smithproxy_exporter/exporter/track"
)

// finishOne sends start, stop and info of a connection, and expects them to be acknowledged.
func finishOne(t *testing.T, p *pipeline.Pipeline, id string) {
	t.Helper()
	const label = "tcp_10.0.0.1:50000+tcp_192.0.2.1:443"
	for _, payload := range []any{event.Start{Session: label}, event.Stop{Session: label}, event.Info{Statistics: &event.Statistics{}}} {
		if _, err := p.Event(event.Event{Action: event.ActionStart, Source: "edge", ID: id, Payload: payload}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

func namesOf(t *testing.T, s *store.Store) (names string) {
	t.Helper()
	reader := history.NewReader(nil)
	if err := s.History(1<<62, func(e store.HistoryEntry) bool {
		r, err := reader.Record(e.Data)
		if err != nil {
			t.Error(err)
		}
		names += r.Name() + " "
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return names
}

// TestHistoryIsCommittedWithItsBatch: once the last event of a connection is acknowledged, its entry is in the store, or in
// memory while the disk fails; it stays after a restart.
func TestHistoryIsCommittedWithItsBatch(t *testing.T) {
	var failing atomic.Bool
	path := t.TempDir()
	options := store.Options{
		Config: store.Config{MaxSize: store.MinMaxSize}, History: store.HistoryLimits{MaxSize: 1 << 20, MaxAge: time.Hour},
		Logger: slog.New(slog.DiscardHandler), ReopenInterval: 10 * time.Millisecond,
		Faults: func(string, string) error {
			if failing.Load() {
				return errors.New("injected fault")
			}
			return nil
		},
	}
	s, err := store.Open(path, options)
	if err != nil {
		t.Fatal(err)
	}
	m := new(metrics)
	p := pipeline.New(pipeline.Options{
		Track: track.DefaultConfig(), Now: time.Now, Tick: time.Millisecond, History: history.NewSink(nil), Metrics: m,
		Logger: slog.New(slog.DiscardHandler),
	})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		p.Run(s, func() {})
	}()
	finishOne(t, p, "Proxy-A1-SID-1")
	if got := namesOf(t, s); got != "Proxy-A1-SID-1 " {
		t.Errorf("the history has %s", got)
	}
	failing.Store(true)
	finishOne(t, p, "Proxy-A1-SID-2")
	if got := namesOf(t, s); got != "Proxy-A1-SID-2 " {
		t.Errorf("while the disk fails the history has %s", got)
	}
	failing.Store(false)
	for m.lacksChanges() {
		runtime.Gosched()
	}
	finishOne(t, p, "Proxy-A1-SID-3")
	const all = "Proxy-A1-SID-3 Proxy-A1-SID-2 Proxy-A1-SID-1 "
	if got := namesOf(t, s); got != all {
		t.Errorf("afterwards the history has %s", got)
	}
	p.Stop()
	<-stopped
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = store.Open(path, options); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := namesOf(t, s); got != all {
		t.Errorf("after a restart the history has %s", got)
	}
}
