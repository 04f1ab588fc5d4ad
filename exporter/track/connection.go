package track

import (
	"time"

	"smithproxy_exporter/exporter/event"
)

// Reason says why a connection is over.
type Reason string

// The reasons. Rejected is a policy's outcome; for Lost and Restart the real end is not known.
const (
	ReasonStop     Reason = "stop"
	ReasonRejected Reason = "rejected"
	ReasonLost     Reason = "lost"
	ReasonRestart  Reason = "restart"
)

// Connection is the record of one proxied connection. It is the join of the events that came for it:
// merging is commutative and idempotent, so that the record does not depend on the order in which
// they came nor on how often, only on what they say and when each came first.
type Connection struct {
	Source, ID string
	// Instance is the boot id inside ID, "" when ID has another form.
	Instance string

	// When each event was first received; zero for one that was not.
	StartedAt, StoppedAt, InfoAt time.Time

	// Label is the session label that knows most, Session what it parses to.
	Label   string
	Session event.Session `json:"-"`
	rank    int
	// Transport is what the start said, which over SOCKS is not what the stop will say.
	Transport event.Transport

	// Stop is nil until the stop arrived. Its lists are cut to the limits; DetailsListed is how many
	// details the stop had.
	Stop          *event.Stop
	DetailsListed int

	Statistics *event.Statistics
	Echo       *event.Echo
	Decision   *Decision

	// Reason is "" while the connection is open.
	Reason Reason

	// goneAt is when a second list in a row lacked the connection, restartedAt when another boot id
	// came up; missedAt is the first such list, listed whether any list ever had it.
	missedAt, goneAt, restartedAt time.Time
	listed                        bool
	// firstAt is when anything about the connection was received first.
	firstAt time.Time
	// ages is how many times the connection was told of for its age.
	ages int
	// active is set while it counts as open.
	active bool
	// dueAt is when the linger is over, zero while there is none.
	dueAt time.Time

	// Links of records: the order of arrival, and the connections of one client.
	prev, next                 *Connection
	prevOfClient, nextOfClient *Connection
}

// What a label's source is worth: the later in a connection's life, the more it knows. A retried
// start can arrive 20 s after the stop, so the order of arrival says nothing.
const (
	rankList = iota + 1
	rankStart
	rankAccess
	rankEcho
	rankStatistics
	rankStop
	// rankComplete is added for a label with both sides.
	rankComplete = 10
)

func (c *Connection) setLabel(label string, rank int, limits Limits) {
	if label == "" {
		return
	}
	label = event.Cut(label, limits.TextBytes)
	session := event.ParseSession(label)
	if session.Complete() {
		rank += rankComplete
	}
	if rank > c.rank {
		c.Label, c.Session, c.rank = label, session, rank
	}
}

// news is what an event added to a record.
type news uint8

const (
	newStart news = 1 << iota
	newStop
	newInfo
	newStatistics
	newEcho
)

// merge joins one event into the record and returns what it added, 0 for a repeat.
func (c *Connection) merge(payload any, at time.Time, limits Limits) news {
	if c.firstAt.IsZero() || at.Before(c.firstAt) {
		c.firstAt = at
	}
	switch m := payload.(type) {
	case event.Start:
		return c.mergeStart(m, at, limits)
	case event.Stop:
		return c.mergeStop(m, at, limits)
	case event.Info:
		return c.mergeInfo(m, at, limits)
	}
	return 0
}

func (c *Connection) mergeStart(m event.Start, at time.Time, limits Limits) news {
	repeat := !c.StartedAt.IsZero()
	if !repeat || at.Before(c.StartedAt) {
		c.StartedAt = at
	}
	if repeat {
		return 0
	}
	c.Transport = event.ParseSession(m.Session).Transport()
	c.setLabel(m.Session, rankStart, limits)
	return newStart
}

func (c *Connection) mergeStop(m event.Stop, at time.Time, limits Limits) news {
	repeat := !c.StoppedAt.IsZero()
	if !repeat || at.Before(c.StoppedAt) {
		c.StoppedAt = at
	}
	if repeat {
		return 0
	}
	c.setLabel(m.Session, rankStop, limits)
	c.DetailsListed = len(m.Details)
	m.Session = ""
	m.SNI = event.Cut(m.SNI, limits.TextBytes)
	m.App = event.Cut(m.App, limits.TextBytes)
	m.JA4Client = event.Cut(m.JA4Client, limits.TextBytes)
	m.JA4Server = event.Cut(m.JA4Server, limits.TextBytes)
	m.Details = limits.cut(m.Details)
	m.Signatures = limits.cut(m.Signatures)
	c.Stop = &m
	return newStop
}

func (c *Connection) mergeInfo(m event.Info, at time.Time, limits Limits) news {
	var added news
	if c.InfoAt.IsZero() {
		added |= newInfo
	}
	if c.InfoAt.IsZero() || at.Before(c.InfoAt) {
		c.InfoAt = at
	}
	if m.Statistics != nil && c.Statistics == nil {
		c.setLabel(m.Statistics.Session, rankStatistics, limits)
		s := *m.Statistics
		s.Session = ""
		c.Statistics = &s
		added |= newStatistics
	}
	if m.Echo != nil && c.Echo == nil {
		c.setLabel(m.Echo.Session, rankEcho, limits)
		e := *m.Echo
		e.Session = ""
		c.Echo = &e
		added |= newEcho
	}
	return added
}

// Start is when the connection began as far as anyone can tell: the first of its access-request and
// its start. estimated is set when neither was received; the first word of it stands in then. It is
// never after End.
func (c *Connection) Start() (at time.Time, estimated bool) {
	at = c.StartedAt
	if d := c.Decision; d != nil && (at.IsZero() || d.Received.Before(at)) {
		at = d.Received
	}
	if at.IsZero() {
		at, estimated = c.firstAt, true
	}
	if end := c.End(); !end.IsZero() && end.Before(at) {
		at = end
	}
	return at, estimated
}

// End is when the connection was over: its stop; the answer that rejected it; or for lost and
// restarted ones, when that was noticed. Zero while it is open.
func (c *Connection) End() time.Time {
	switch c.Reason {
	case ReasonStop:
		return c.StoppedAt
	case ReasonRejected:
		if c.Decision != nil {
			return c.Decision.Answered
		}
		return c.InfoAt
	case ReasonLost:
		if !c.InfoAt.IsZero() {
			return c.InfoAt
		}
		return c.goneAt
	case ReasonRestart:
		return c.restartedAt
	default:
		return time.Time{}
	}
}

// overtaking is by how much a start can arrive after its stop only because the two took different
// threads of the proxy (measured: up to 37 ms under load). One that is later was retried, and says
// nothing about when the connection began.
const overtaking = time.Second

// Duration is how long the connection lasted; known is false when its start or its end is not.
func (c *Connection) Duration() (d time.Duration, known bool) {
	if c.Reason != ReasonStop && c.Reason != ReasonRejected {
		return 0, false
	}
	start, estimated := c.Start()
	if c.End().IsZero() || estimated || c.StartedAt.After(c.End().Add(overtaking)) && c.Decision == nil {
		return 0, false
	}
	return c.End().Sub(start), true
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

// rejected reports whether the proxy says that it was told to reject, and did: no stop came.
func (c *Connection) rejected() bool {
	return c.StoppedAt.IsZero() && c.Echo != nil && c.Echo.Verdict == event.Reject
}

// Policy is the index of the rule that matched: as the stop says it, else as the access-request did;
// event.PolicyUnknown when neither knows.
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
