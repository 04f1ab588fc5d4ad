package track

import "time"

// Instant is a point in time on two clocks. The zero value is "never".
type Instant struct {
	// Wall is the wall clock, in Unix ns, for people and spans. It can jump.
	Wall int64
	// Mono is the running time of the exporter, summed over all its runs: it never decreases, and does not advance
	// while the exporter does not run. All deadlines use it.
	Mono time.Duration
}

// At returns the instant of two clock readings.
func At(wall time.Time, mono time.Duration) Instant { return Instant{wall.UnixNano(), mono} }

// IsZero reports whether the instant is "never".
func (i Instant) IsZero() bool { return i == Instant{} }

// Time returns the wall clock in UTC, the zero time for "never".
func (i Instant) Time() time.Time {
	if i.IsZero() {
		return time.Time{}
	}
	return time.Unix(0, i.Wall).UTC()
}

// earlier returns the first of two instants; "never" is after all others.
func earlier(a, b Instant) Instant {
	if a.IsZero() || !b.IsZero() && b.Mono < a.Mono {
		return b
	}
	return a
}

// later returns the last of two instants.
func later(a, b Instant) Instant {
	if b.Mono > a.Mono || a.IsZero() {
		return b
	}
	return a
}
