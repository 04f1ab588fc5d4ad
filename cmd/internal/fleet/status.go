package fleet

import (
	"fmt"
	"log/slog"
	"os"
	"time"
)

// ShowStatus reports the progress of the fleet once a second until stop is called: on one line of out if that is a
// terminal, or else in log lines.
func (f *Fleet) ShowStatus(out *os.File, logger *slog.Logger) (stop func()) {
	stopping, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		terminal := isTerminal(out)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		var before Live
		last := time.Now()
		for {
			select {
			case <-stopping:
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
		close(stopping)
		<-stopped
	}
}

// isTerminal reports whether a line of the file can be overwritten.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}
