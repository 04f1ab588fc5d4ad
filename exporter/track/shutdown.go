package track

import "time"

// shutdown recognises that a proxy was shut down in an orderly way. A 2025 proxy that gets SIGTERM sends
// connection-info for all its connections, about 10 s later, and no stops. A single info without its stop is a stop
// that got lost; a row of them, after which the proxy says nothing else or comes back with another boot id, is a
// shutdown. Any other event ends the row: the proxy runs.
type shutdown struct {
	infos       int           // in a row, without their stops
	first, last time.Duration // when the first and the latest of them came
}

const (
	// shutdownInfos is how many infos without stops are "many"; fewer are, when nothing is open any more.
	shutdownInfos = 3
	// shutdownGap is the longest pause within a row. Measured: all infos within a second.
	shutdownGap = 5 * time.Second
)

// info notes an info of a connection that was open, and has no stop.
func (s *shutdown) info(at time.Duration) {
	if s.infos == 0 || at-s.last > shutdownGap {
		s.infos, s.first = 0, at
	}
	s.infos++
	s.last = at
}

// matched notes that the stop came after all.
func (s *shutdown) matched() { s.infos = max(0, s.infos-1) }

// alive notes an event of a proxy that runs, and reports whether that ended a row.
func (s *shutdown) alive() (ended bool) {
	ended = s.infos > 0
	s.infos = 0
	return ended
}

// silent reports, once nothing else came for the grace period, whether many infos came without stops. open is how many
// connections of the proxy are.
func (s *shutdown) silent(open int) bool { return s.infos >= shutdownInfos || s.infos > 1 && open == 0 }

// beforeRestart reports, once another boot id is seen, whether infos without stops were the last that the boot before it
// sent, and many.
func (s *shutdown) beforeRestart(open int) bool {
	return s.infos >= shutdownInfos || s.infos > 0 && open == 0
}

// covers reports whether the connection waits for its stop since the row of infos.
func (s *shutdown) covers(c *Connection) bool {
	return c.State == StateClosing && c.Cause == CauseInfo && c.informed.Mono >= s.first
}
