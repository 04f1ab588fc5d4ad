package track

import "time"

// shutdown recognises that a proxy was shut down in an orderly way. A 2025 proxy that gets SIGTERM sends
// connection-info for all its connections, about 10 s later, and no stops. A single info without its stop is
// a stop that got lost; many in a row, after which the proxy says nothing else or comes back with another boot
// id, are a shutdown.
type shutdown struct {
	infos       int           // in a row, without their stops
	first, last time.Duration // when the first and the latest of them came
	// other is when the latest event came that a proxy that is shut down does not send.
	other time.Duration
}

const (
	// shutdownInfos is how many infos without stops are "many"; two are, when nothing is open any more.
	shutdownInfos = 3
	// shutdownGap is the longest pause within a row, and by how much stragglers of other events can follow
	// it. Measured: infos within a second, and events that are overtaken by up to 37 ms.
	shutdownGap = 5 * time.Second
)

// info notes an info whose connection has no stop.
func (s *shutdown) info(at time.Duration) {
	if s.infos == 0 || at-s.last > shutdownGap {
		s.infos, s.first = 0, at
	}
	s.infos++
	s.last = at
}

// matched notes that the stop came after all.
func (s *shutdown) matched() { s.infos = max(0, s.infos-1) }

// alive notes an event of a proxy that runs, and reports whether that contradicts a shutdown.
func (s *shutdown) alive(at time.Duration) (contradicts bool) {
	before := s.infos > 0 && s.other <= s.last
	s.other = max(s.other, at)
	return before
}

// silent reports whether many infos came without stops, and nothing else since. open is how many connections of the
// proxy are.
func (s *shutdown) silent(open int) bool {
	many := s.infos >= shutdownInfos || s.infos > 1 && open == 0
	return many && s.other <= s.last+shutdownGap
}

// beforeRestart reports, once another boot id is seen, whether the boot before it was shut down: many infos came
// without stops, or infos without stops were the last that it sent.
func (s *shutdown) beforeRestart() bool {
	return s.infos >= shutdownInfos || s.infos > 0 && s.other < s.first
}

// covers reports whether the connection waits for its stop since the row of infos.
func (s *shutdown) covers(c *Connection) bool {
	return c.State == StateClosing && c.Cause == CauseInfo && c.informed.Mono >= s.first
}
