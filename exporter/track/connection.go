package track

import (
	"time"

	"smithproxy_exporter/exporter/event"
)

// Connection is the record of one proxied connection: the join of the events that came for it. Merging
// events is commutative and idempotent, so that a record depends on what they say and on when each came
// first, not on their order or on repeats.
type Connection struct {
	Source, ID string
	// N counts the connections that had the id within a boot, from 1: PTR ids come again.
	N uint32

	// State and Cause are moved by next alone.
	State State
	Cause Cause

	got  parts
	rank uint8 // of Label
	// ages is how many times the connection was reported for its age.
	ages uint8
	// listed is set once a list of its instance had the connection.
	listed bool
	dirty  bool // it changed since it was written to the store

	// Label is the session label that knows most.
	Label string
	// Transport is what the start said, which over SOCKS is not what the stop will say.
	Transport event.Transport

	// Stop is nil until the stop arrived. Its lists are cut to the limits; DetailsListed is how many
	// details the stop had.
	Stop          *event.Stop
	DetailsListed int
	Statistics    *event.Statistics
	Sinkhole      *event.Sinkhole
	Echo          *event.Echo
	Decision      *Decision

	// When each event was received first; see got for which have come.
	started, stopped, informed Instant
	// first is the first sign of the connection, alive when the latest list came that had it.
	first, alive Instant
	// missed is when the first of the lists came that lacked it, 0 if the latest one had it.
	missed time.Duration
	// until is the end of the grace period; it counts in StateClosing only.
	until time.Duration

	// serial is the place in the order in which connections became known.
	serial uint64
	// list is the number of the latest list that had it.
	list uint32

	// wakeAt and wakeIndex belong to the tracker's deadlines.
	wakeIndex int32
	wakeAt    time.Duration
	// The connections of one client are chained, newest first.
	prevOfClient, nextOfClient *Connection
}

// parts are what a record holds.
type parts uint8

const (
	gotStart parts = 1 << iota
	gotStop
	gotInfo
	gotStatistics
	gotEcho
	gotSinkhole
)

// Reason is why the connection is over, "" while it is open.
func (c *Connection) Reason() Reason { return c.Cause.Reason() }

// Instance is the boot id inside ID, "" when ID has another form.
func (c *Connection) Instance() string { return event.Instance(c.ID) }

// Session is what Label says.
func (c *Connection) Session() event.Session { return event.ParseSession(c.Label) }

// Started reports whether the start was received.
func (c *Connection) Started() bool { return c.got&gotStart != 0 }

// Stopped reports whether the stop was received.
func (c *Connection) Stopped() bool { return c.got&gotStop != 0 }

// Informed reports whether a connection-info was received.
func (c *Connection) Informed() bool { return c.got&gotInfo != 0 }

// StoppedAt is when the stop was received; the zero time without one.
func (c *Connection) StoppedAt() time.Time { return c.stopped.Time() }

// Start is when the connection began as far as anyone can tell: the first of its access-request and
// its start. estimated is set when neither was received; the first sign of it stands in then. It is
// never after End.
func (c *Connection) Start() (at time.Time, estimated bool) {
	begin, estimated := c.begin()
	if end := c.end(); !end.IsZero() && end.Mono < begin.Mono {
		return end.Time(), estimated
	}
	return begin.Time(), estimated
}

func (c *Connection) begin() (at Instant, estimated bool) {
	at = c.started
	if c.Decision != nil {
		at = earlier(at, c.Decision.received())
	}
	if at.IsZero() {
		return c.first, true
	}
	return at, false
}

// End is when the connection was over, the zero time while it is open. estimated is set when nothing said
// so: it is the last event or list then that showed the connection alive, as the best known bound, and not
// when its end was noticed.
func (c *Connection) End() (at time.Time, estimated bool) {
	end := c.end()
	if end.IsZero() {
		return time.Time{}, false
	}
	estimated = c.Cause != CauseStop && (c.Cause != CauseReject || c.Decision == nil)
	begin, _ := c.begin()
	if passed := end.Mono - begin.Mono; passed > 0 && end.Wall < begin.Wall {
		// The wall clock was set back meanwhile.
		return begin.Time().Add(passed), estimated
	}
	return end.Time(), estimated
}

func (c *Connection) end() Instant {
	switch c.Cause {
	case causeNone:
		return Instant{}
	case CauseStop:
		return c.stopped
	case CauseReject:
		if c.Decision != nil {
			return c.Decision.answered()
		}
		return c.informed
	default:
		return c.lastSign()
	}
}

// lastSign is the last event or list that showed the connection alive.
func (c *Connection) lastSign() Instant {
	last := later(later(c.first, c.started), c.alive)
	if c.Decision != nil {
		last = later(last, c.Decision.received())
	}
	return last
}

// overtaking is by how much a start can arrive after its stop only because the two took different
// threads of the proxy (measured: up to 37 ms under load). One that is later was retried, and says
// nothing about when the connection began.
const overtaking = time.Second

// Duration is how long the connection lasted; known is false when its start or its end is not.
func (c *Connection) Duration() (d time.Duration, known bool) {
	start, startEstimated := c.Start()
	end, endEstimated := c.End()
	if end.IsZero() || startEstimated || endEstimated ||
		c.Decision == nil && c.started.Mono > c.end().Mono+overtaking {
		return 0, false
	}
	return end.Sub(start), true
}

// Verdict is how the connection's access-request was answered, and by which rule. What the proxy echoes
// is what it acted on, and counts more than what was decided here. ok is false when neither is known.
func (c *Connection) Verdict() (verdict event.Verdict, rule string, ok bool) {
	d, e := c.Decision, c.Echo
	switch {
	case d != nil && (e == nil || e.Verdict == "" || e.Verdict == d.Verdict):
		return d.Verdict, d.Rule, true
	case e != nil && e.Verdict != "":
		return e.Verdict, e.Rule, true
	default:
		return "", "", false
	}
}

// Policy is the index of the rule that matched: as the stop says it, else as the access-request did;
// event.PolicyUnknown when neither knows, event.PolicyImplicit when no rule matched and the connection was
// let through.
func (c *Connection) Policy() int {
	switch {
	case c.Stop != nil && c.Stop.Policy != nil:
		return *c.Stop.Policy
	case c.Decision != nil:
		return c.Decision.Policy
	default:
		return event.PolicyUnknown
	}
}

// App is the L7 application that was detected, "" when none was, or when that is not known.
func (c *Connection) App() string {
	if c.Stop == nil {
		return ""
	}
	return c.Stop.App
}
