package pipeline

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// gap is the time between two readings of the clock from which on the process counts as not running: it, or the
// machine, was suspended.
const gap = time.Minute

// clock converts times to instants. The running time continues that of the previous run and leaves out gaps, so that
// deadlines survive a restart and do not depend on the wall clock.
type clock struct {
	mono    func(time.Time) time.Duration
	base    time.Duration // the running time at origin
	origin  time.Duration // mono at the start
	last    time.Duration // mono at the last check
	skipped time.Duration // sum of the gaps
}

func newClock(mono func(time.Time) time.Duration, now time.Time) clock {
	if mono == nil {
		start := now
		mono = func(t time.Time) time.Duration { return t.Sub(start) }
	}
	at := mono(now)
	return clock{mono: mono, origin: at, last: at}
}

// resume continues from the running time at which the previous run ended.
func (c *clock) resume(from time.Duration) { c.base = max(c.base, from) }

// check records that the process runs now, and returns for how long it did not run before.
func (c *clock) check(now time.Time) (missed time.Duration) {
	at := c.mono(now)
	if at-c.last > gap {
		missed = at - c.last
		c.skipped += missed
	}
	c.last = max(c.last, at)
	return missed
}

// instant returns the instant at which Now returned t.
func (c *clock) instant(t time.Time) track.Instant {
	return track.At(t, max(c.base, c.base+c.mono(t)-c.origin-c.skipped))
}
