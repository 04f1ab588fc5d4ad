package track

import (
	"time"

	"smithproxy_exporter/exporter/event"
)

// Connection is the record of one proxied connection: the join of its events. Merging events is commutative and
// idempotent, so a record depends on what they say and on when each was received first, but not on their order or on
// repeats.
type Connection struct {
	Source, ID string
	// N counts the connections with the same id within a boot, from 1: PTR ids are reused.
	N uint32

	// State and Cause change only as next says.
	State State
	Cause Cause
	// Unsampled is set if the trace of the connection is not kept. It is valid in Finished and Late.
	Unsampled bool

	got  parts
	rank uint8 // of Label
	// ages is how many of its ages the connection has passed; the last held of them were not reported yet.
	ages, held uint8
	// listed is set once a list of its instance had the connection.
	listed bool
	dirty  bool // changed since it was written to the store

	// Label is the most complete session label of all events.
	Label string
	// Transport is from the start. Over SOCKS the stop has another.
	Transport event.Transport

	// Stop is nil until the stop arrives. Its lists are cut to the limits; DetailsListed is how many details the stop
	// had.
	Stop          *event.Stop
	DetailsListed int
	Statistics    *event.Statistics
	Sinkhole      *event.Sinkhole
	Echo          *event.Echo
	Decision      *Decision

	// When each event was first received; got says which were.
	started, stopped, informed Instant
	// first is when the connection was first heard of, alive when the latest list with it was received.
	first, alive Instant
	// missed is when the first of the latest lists without it was received, 0 if the latest list has it.
	missed time.Duration
	// until is the end of the grace period; only valid in StateClosing.
	until time.Duration

	// p is the proxy, nil in copies and in finished records. proxyDown is set in copies if it was down.
	p         *proxy
	proxyDown bool

	// serial numbers connections in the order in which they became known.
	serial uint64
	// list is the number of the latest list with it.
	list uint32

	// wakeAt and wakeIndex belong to the tracker's deadlines.
	wakeIndex int32
	wakeAt    time.Duration
	// The connections of one client are chained, newest first.
	prevOfClient, nextOfClient *Connection
}

// parts are the events, and parts of events, that a record has.
type parts uint8

const (
	gotStart parts = 1 << iota
	gotStop
	gotInfo
	gotStatistics
	gotEcho
	gotSinkhole
)

// IsUnknown reports whether an open connection is of a proxy that is down: whether it still lasts is not known before the
// proxy's next list.
func (c *Connection) IsUnknown() bool {
	return c.State == StateOpen && (c.proxyDown || c.p != nil && c.p.ping.isDown())
}

// Reason returns why the connection ended, "" while it is open.
func (c *Connection) Reason() Reason { return c.Cause.Reason() }

// Instance returns the boot id inside ID, "" if ID has another form.
func (c *Connection) Instance() string { return event.Instance(c.ID) }

// Session returns the parsed Label.
func (c *Connection) Session() event.Session { return event.ParseSession(c.Label) }

// Started reports whether the start was received.
func (c *Connection) Started() bool { return c.got&gotStart != 0 }

// Stopped reports whether the stop was received.
func (c *Connection) Stopped() bool { return c.got&gotStop != 0 }

// Informed reports whether a connection-info was received.
func (c *Connection) Informed() bool { return c.got&gotInfo != 0 }

// StoppedAt returns when the stop was received, the zero time without one.
func (c *Connection) StoppedAt() time.Time { return c.stopped.Time() }

// Start returns when the connection started: the earlier of its access-request and its start. If neither was
// received, estimated is set, and it is when the connection was first heard of. It is never after End.
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

// End returns when the connection ended, the zero time while it is open. If no event reported the end, estimated is
// set, and it is the last event or list that showed the connection alive: the best known lower bound.
func (c *Connection) End() (at time.Time, estimated bool) {
	end := c.end()
	if end.IsZero() {
		return time.Time{}, false
	}
	estimated = c.Cause != CauseStop && (c.Cause != CauseReject || c.Decision == nil)
	begin, _ := c.begin()
	if passed := end.Mono - begin.Mono; passed > 0 && end.Wall < begin.Wall {
		// The wall clock was set back between start and end.
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

// lastSign returns when the last event or list showed the connection alive.
func (c *Connection) lastSign() Instant {
	last := later(later(c.first, c.started), c.alive)
	if c.Decision != nil {
		last = later(last, c.Decision.received())
	}
	return last
}

// maxStartDelay is how long after its stop a start can arrive just because different threads of the proxy sent them
// (measured: up to 37 ms under load). A later one was retried, and does not tell when the connection started.
const maxStartDelay = time.Second

// Duration returns how long the connection lasted; known is false if its start or end is estimated.
func (c *Connection) Duration() (d time.Duration, known bool) {
	start, startEstimated := c.Start()
	end, endEstimated := c.End()
	if end.IsZero() || startEstimated || endEstimated ||
		c.Decision == nil && c.started.Mono > c.end().Mono+maxStartDelay {
		return 0, false
	}
	return end.Sub(start), true
}

// Verdict returns how the connection's access-request was answered, and by which rule. The proxy's echo, which is what
// the proxy acted on, overrides the decision made here. ok is false if neither is known.
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

// Policy returns the index of the proxy's policy that matched, from the stop or else from the access-request. It is
// event.PolicyUnknown if neither has it, event.PolicyImplicit if no policy matched and the connection was let through.
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

// App returns the detected L7 application, "" if there is none or the stop was not received.
func (c *Connection) App() string {
	if c.Stop == nil {
		return ""
	}
	return c.Stop.App
}
