package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/pipeline"
	"smithproxy_exporter/exporter/store"
	"smithproxy_exporter/exporter/track"
)

// TestForgottenProxyLeavesNoRecord has a proxy with one record of each kind that the tracker writes for a proxy.
func TestForgottenProxyLeavesNoRecord(t *testing.T) {
	path := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, path, nil)
		config := track.DefaultConfig()
		config.Proxies.ForgetAfter = time.Minute
		p := pipeline.New(pipeline.Options{
			Track: config, Now: time.Now, Tick: time.Second, Metrics: &metrics{}, Logger: slog.New(slog.DiscardHandler),
		})
		ran := make(chan struct{})
		go func() { defer close(ran); p.Run(s, func() {}) }()
		take(t, p, start(id), event.Event{
			Action: event.ActionNeighbor, Source: source, Payload: event.Neighbor{Addresses: []string{"10.77.1.2"}, State: event.NeighborNew},
		})
		decision := track.Decision{Source: source, ID: "d1", Label: "tcp_10.77.1.3:1+tcp_10.77.2.2:8080", Verdict: event.Accept, Received: time.Now(), Answered: time.Now()}
		if queued, err := p.Decision(decision); !queued || err != nil {
			t.Error(queued, err)
		}
		time.Sleep(2 * time.Second)
		before := recordsOf(t, s, source)
		for _, kind := range []track.Kind{track.KindProxy, track.KindConnection, track.KindDecision, track.KindNeighbor} {
			if before[kind] == 0 {
				t.Errorf("no record of kind %d before the proxy is forgotten: %v", kind, before)
			}
		}
		time.Sleep(config.Proxies.ForgetAfter + 5*time.Second)
		if after := recordsOf(t, s, source); len(after) > 0 {
			t.Errorf("records by kind after the proxy is forgotten: %v", after)
		}
		p.Stop()
		<-ran
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// recordsOf returns the number of records of a source by their kind.
func recordsOf(t *testing.T, s *store.Store, source string) map[track.Kind]int {
	t.Helper()
	records := map[track.Kind]int{}
	err := s.Load(func(kind store.Kind, of, _ string, _ []byte, _ bool) error {
		if of == source {
			records[track.Kind(kind)]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return records
}

// TestForget has an operator forget a proxy with more connections than one step closes.
func TestForget(t *testing.T) {
	path := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := openStore(t, path, nil)
		p := newPipeline(&metrics{})
		ran := make(chan struct{})
		go func() { defer close(ran); p.Run(s, func() {}) }()
		for i := range 600 {
			take(t, p, start(fmt.Sprintf("Proxy-A1-SID-%X", i+1)))
		}
		if err := p.Forget(t.Context(), "nobody"); !errors.Is(err, track.ErrUnknownProxy) {
			t.Errorf("Forget() = %v, want %v", err, track.ErrUnknownProxy)
		}
		if err := p.Forget(t.Context(), source); err != nil {
			t.Error(err)
		}
		if left := recordsOf(t, s, source); len(left) > 0 {
			t.Errorf("records by kind after the proxy is forgotten: %v", left)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.Forget(cancelled, source); !errors.Is(err, context.Canceled) && !errors.Is(err, track.ErrUnknownProxy) {
			t.Errorf("Forget() = %v with a context that is done", err)
		}
		p.Stop()
		<-ran
		if err := p.Forget(t.Context(), source); !errors.Is(err, pipeline.ErrStopped) {
			t.Errorf("Forget() = %v after the end, want %v", err, pipeline.ErrStopped)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}
