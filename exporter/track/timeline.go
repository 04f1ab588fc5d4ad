package track

import (
	"math"
	"time"

	"smithproxy_exporter/exporter/event"
)

// Timeline is when the events of a connection were received. The zero time stands for an event that was not.
type Timeline struct {
	// First is when the connection was first heard of.
	First time.Time
	// Requested and Answered are of the access-request, Requests is how often the proxy sent it.
	Requested, Answered time.Time
	Requests            int
	Started             time.Time
	// Listed is when the last list with the connection was received.
	Listed            time.Time
	Stopped, Informed time.Time
	// StartRepeats, StopRepeats and InfoRepeats are how often an event was received again, at most 255; RepeatedAt is when
	// the last repeat was.
	StartRepeats, StopRepeats, InfoRepeats int
	RepeatedAt                             time.Time
}

// Timeline returns when the events of the connection were received.
func (c *Connection) Timeline() Timeline {
	t := Timeline{
		First: c.first.Time(), Started: c.started.Time(), Listed: c.alive.Time(), Stopped: c.stopped.Time(), Informed: c.informed.Time(),
		StartRepeats: int(c.repeats[0]), StopRepeats: int(c.repeats[1]), InfoRepeats: int(c.repeats[2]),
	}
	if c.Decision != nil {
		t.Requested, t.Answered, t.Requests = c.Decision.Received, c.Decision.Answered, c.Decision.Requests
	}
	if c.repeats != [3]uint8{} {
		t.RepeatedAt = c.first.Time().Add(time.Duration(c.repeatedAfter) * time.Second)
	}
	return t
}

// repeated notes an event without new content.
func (c *Connection) repeated(payload any, at Instant) {
	of := &c.repeats[2]
	switch payload.(type) {
	case event.Start:
		of = &c.repeats[0]
	case event.Stop:
		of = &c.repeats[1]
	}
	if *of < math.MaxUint8 {
		*of++
	}
	passed := max(0, at.Mono-c.first.Mono) / time.Second
	c.repeatedAfter = max(c.repeatedAfter, uint16(min(passed, math.MaxUint16)))
}
