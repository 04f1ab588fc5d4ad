package main

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"smithproxy_exporter/cmd/internal/fleet"
)

// showStatus says once a second how far the fleet is, on one line of a terminal
// or else in log lines, until the returned function is called.
func showStatus(f *fleet.Fleet, out *os.File, logger *slog.Logger) (end func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		terminal := isTerminal(out)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		var before fleet.Live
		last := time.Now()
		for {
			select {
			case <-stop:
				if terminal {
					fmt.Fprintln(out)
				}
				return
			case now := <-ticker.C:
				live := f.Live()
				rate := float64(live.Events-before.Events) / now.Sub(last).Seconds()
				before, last = live, now
				if terminal {
					fmt.Fprintf(out, "\r\x1b[Kconnections %d open %d finished %d | %.0f events/s, acks %d, retries %d, failed %d, rejects %d",
						live.Started, live.Open(), live.Finished, rate, live.Acknowledged, live.Retries, live.Failed, live.Rejects)
					continue
				}
				logger.Info("Running", "connections", live.Started, "open", live.Open(), "finished", live.Finished,
					"events_per_second", int(rate), "acks", live.Acknowledged, "retries", live.Retries,
					"failed", live.Failed, "rejects", live.Rejects)
			}
		}
	}()
	return func() {
		close(stop)
		<-stopped
	}
}

// isTerminal says whether a status line can be rewritten there.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
