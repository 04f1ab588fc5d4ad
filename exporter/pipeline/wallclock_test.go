package pipeline_test

import (
	"log/slog"
	"testing"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/pipeline"
	"smithproxy_exporter/exporter/track"
)

// TestWallClockIsSetAcrossARestart has the wall clock jump while the exporter runs, and while it does not.
func TestWallClockIsSetAcrossARestart(t *testing.T) {
	for name, jump := range map[string]time.Duration{"back": -7 * time.Hour, "forward": 7 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir()
			wall, mono := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC), time.Duration(0)
			var sink *facts
			begin := func() (p *pipeline.Pipeline, end func()) {
				sink = &facts{}
				s := openStore(t, path, nil)
				p = pipeline.New(pipeline.Options{
					Track: track.DefaultConfig(), Now: func() time.Time { return wall }, Mono: func(time.Time) time.Duration { return mono },
					Tick: time.Hour, Sinks: []track.Sink{sink}, Metrics: &metrics{}, Logger: slog.New(slog.DiscardHandler),
				})
				ran, ready := make(chan struct{}), make(chan struct{})
				go func() { defer close(ran); p.Run(s, func() { close(ready) }) }()
				<-ready // it reads the clock, which the test sets
				return p, func() {
					p.Stop()
					<-ran
					if err := s.Close(); err != nil {
						t.Error(err)
					}
				}
			}
			pass := func(p *pipeline.Pipeline, d time.Duration) {
				wall, mono = wall.Add(d), mono+d
				if err := p.Advance(); err != nil {
					t.Fatal(err)
				}
			}
			p, end := begin()
			take(t, p, event.Event{Action: event.ActionPing, Source: source, Payload: event.Ping{Instance: "Proxy-A65E609B"}})
			take(t, p, start(id))
			pass(p, 30*time.Second)
			wall = wall.Add(jump)
			pass(p, 30*time.Second)
			if n := count[track.Ended](sink); n != 0 {
				t.Errorf("%d connections ended when the clock was set", n)
			}
			end()
			wall, mono = wall.Add(jump), 17*time.Minute // another process
			p, end = begin()
			pass(p, 30*time.Second)
			if n := count[track.Ended](sink); n != 0 {
				t.Errorf("%d connections ended over the restart", n)
			}
			for _, f := range sink.all {
				if s, ok := f.(track.ProxyStatus); ok && (!s.Up || s.Open != 1) {
					t.Errorf("the proxy stands as %+v", s)
				}
			}
			take(t, p, stop(id))
			pass(p, 40*time.Second) // its grace period
			if n := count[track.Finished](sink); n != 1 {
				t.Errorf("%d connections finished, want 1: the clock stalls", n)
			}
			end()
		})
	}
}
