package pipeline

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// gap is the time between two looks at the clock that means that the process did not run: it was stopped
// (SIGSTOP), or the machine was.
const gap = time.Minute

// clock turns times into instants. Its running time goes on from where that of the run before ended, so that
// deadlines survive a restart and no setting of the wall clock moves them; it leaves out the gaps.
type clock struct {
	mono    func(time.Time) time.Duration
	base    time.Duration // the running time at origin
	origin  time.Duration // mono at the start
	last    time.Duration // mono at the last look
	skipped time.Duration // all gaps
}

func newClock(mono func(time.Time) time.Duration, now time.Time) clock {
	if mono == nil {
		start := now
		mono = func(t time.Time) time.Duration { return t.Sub(start) }
	}
	at := mono(now)
	return clock{mono: mono, origin: at, last: at}
}

// resume goes on from the running time at which the run before ended.
func (c *clock) resume(from time.Duration) { c.base = max(c.base, from) }

// look notes that the process runs now, and returns for how long it did not.
func (c *clock) look(now time.Time) (missed time.Duration) {
	at := c.mono(now)
	if at-c.last > gap {
		missed = at - c.last
		c.skipped += missed
	}
	c.last = max(c.last, at)
	return missed
}

// instant is the moment at which Now returned the time.
func (c *clock) instant(t time.Time) track.Instant {
	return track.At(t, max(c.base, c.base+c.mono(t)-c.origin-c.skipped))
}
