package track

import "time"

// gotUnsampled is set in EndedConnection.Got if the trace of the connection was not kept. It is no part of a record. Its
// absence means that the trace was kept, as in tombstones of versions that kept all.
const gotUnsampled parts = 1 << 7

// sampled reports whether the trace of a connection is kept. It is, too, if a part of it was passed on already.
func (t *Tracker) sampled(c *Connection, at time.Time) bool {
	return t.Sampled == nil || c.ages > c.held || t.Sampled(c, at)
}

// reportAge emits StillOpen for the latest age that the connection has passed, once for each age. While it is not known
// whether the trace is kept, the ages are held.
func (t *Tracker) reportAge(c *Connection, now Instant) {
	if t.config.Connections.OpenSpanAge <= 0 {
		return
	}
	passed := -1
	for age := int(c.ages); age < maxAges && now.Mono-c.first.Mono >= t.config.Connections.OpenSpanAge<<age; age++ {
		passed = age
	}
	if passed < 0 {
		return
	}
	t.touch(c)
	if at := t.ageAt(c, passed); !t.sampled(c, at) {
		c.held += uint8(passed+1) - c.ages
		c.ages = uint8(passed + 1)
		return
	}
	t.releaseAges(c, c)
	c.ages = uint8(passed + 1)
	t.emit(StillOpen{C: c, At: t.ageAt(c, passed)})
}

// ageAt returns when the connection reached an age.
func (t *Tracker) ageAt(c *Connection, age int) time.Time {
	return c.first.Time().Add(t.config.Connections.OpenSpanAge << age)
}

// releaseAges emits StillOpen for the ages that were held. as is the record in the facts.
func (t *Tracker) releaseAges(c, as *Connection) {
	for ; c.held > 0; c.held-- {
		t.emit(StillOpen{C: as, At: t.ageAt(c, int(c.ages-c.held))})
	}
}

// decideTrace sets Unsampled of a connection that finishes, and emits what was held of a trace that is kept.
func (t *Tracker) decideTrace(c *Connection, at time.Time) {
	c.Unsampled = !t.sampled(c, at)
	if c.Unsampled || c.held == 0 {
		return
	}
	// Only what was known while it was open: the root span has the rest.
	open := c.Copy()
	open.State, open.Cause, open.got, open.stopped, open.informed = StateOpen, causeNone, c.got&gotStart, Instant{}, Instant{}
	open.Stop, open.Statistics, open.Sinkhole, open.Echo = nil, nil, nil, nil
	t.releaseAges(c, &open)
}
