package track

import "time"

// shutdown detects that a proxy was shut down. A 2025 proxy that gets SIGTERM sends connection-info for all its
// connections about 10 s later, and no stops. A single info without a stop means that the stop was lost; a series of
// them, followed by silence or another boot id, means a shutdown. Any other event ends the series: the proxy runs.
type shutdown struct {
	infos       int           // in the series, without their stops
	first, last time.Duration // when the first and the latest of them were received
}

const (
	// shutdownInfos is the number of infos in a series that means a shutdown; fewer suffice if no connection is open.
	shutdownInfos = 3
	// shutdownGap is the longest pause within a series. Measured: all infos within a second.
	shutdownGap = 5 * time.Second
)

// info adds an info of an open connection to the series.
func (s *shutdown) info(at time.Duration) {
	if s.infos == 0 || at-s.last > shutdownGap {
		s.infos, s.first = 0, at
	}
	s.infos++
	s.last = at
}

// matched removes an info whose stop was received after all.
func (s *shutdown) matched() { s.infos = max(0, s.infos-1) }

// alive handles an event of a running proxy, and reports whether it ended a series.
func (s *shutdown) alive() (ended bool) {
	ended = s.infos > 0
	s.infos = 0
	return ended
}

// silent reports whether the series means a shutdown, after no other event was received for the grace period. open is
// the number of open connections of the proxy.
func (s *shutdown) silent(open int) bool { return s.infos >= shutdownInfos || s.infos > 1 && open == 0 }

// beforeRestart reports whether the series means a shutdown, when another boot id follows.
func (s *shutdown) beforeRestart(open int) bool {
	return s.infos >= shutdownInfos || s.infos > 0 && open == 0
}

// covers reports whether the info of a connection that waits for its stop is part of the series.
func (s *shutdown) covers(c *Connection) bool {
	return c.State == StateClosing && c.Cause == CauseInfo && c.informed.Mono >= s.first
}
