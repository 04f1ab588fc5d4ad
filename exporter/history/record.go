// Package history has the compact form in which finished connections are kept: the Sink encodes them, and a Reader finds
// and decodes them. Where the entries are kept is not its concern.
//
// An entry is a version, flags and fields in a fixed order: first those that searches look at, then the rest. Numbers are
// variable-length integers, and texts have their length in front. An entry takes 200 to 300 bytes, which a general format
// with field names would double.
package history

import (
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/search"
	"smithproxy_exporter/exporter/track"
)

// Record is everything that is shown of a connection.
type Record struct {
	Source, ID string
	N          uint32
	State      track.State
	Unknown    bool // see track.Connection.IsUnknown
	Reason     track.Reason
	Label      string
	Transport  event.Transport

	Start, End                   time.Time // End is zero while it is open
	StartEstimated, EndEstimated bool
	// DurationKnown is set if neither Start nor End is estimated, and both are reliable.
	DurationKnown bool

	Policy int
	// Verdict is "" without an access-request.
	Verdict                    event.Verdict
	Rule, DryRunRule, Decision string

	// Stopped is set if the stop was received; the fields up to Signatures are from it.
	Stopped         bool
	TLS             bool
	SNI, App        string
	Up, Down        uint64
	JA4, JA4S       string
	JA4H            []string
	Requests        []string
	RequestsDropped int
	Signatures      []string

	EntropyUp, EntropyDown *event.Entropy // nil if not measured
	Skew                   *float64
	Sinkhole               *event.Sinkhole

	Timeline track.Timeline
	// Late is set for new content of a connection that had finished before: the record has nothing else, and LateAction
	// and LateAt are the event's.
	Late       bool
	LateAction event.Action
	LateAt     time.Time
}

// Name returns the name of the connection, as track.Connection.Name does.
func (r *Record) Name() string { return track.NameOf(r.ID, r.N) }

// Of returns what is shown of a connection. It shares lists and pointers with it.
func Of(c *track.Connection) Record {
	r := Record{
		Source: c.Source, ID: c.ID, N: c.N, State: c.State, Unknown: c.IsUnknown(), Reason: c.Reason(), Label: c.Label, Transport: c.Transport,
		Policy: c.Policy(), Timeline: c.Timeline(), Sinkhole: c.Sinkhole,
	}
	r.Start, r.StartEstimated = c.Start()
	r.End, r.EndEstimated = c.End()
	_, r.DurationKnown = c.Duration()
	r.Verdict, r.Rule, _ = c.Verdict()
	if d := c.Decision; d != nil {
		r.Decision, r.DryRunRule = d.ID, d.DryRunRule
	}
	if s := c.Stop; s != nil {
		r.Stopped, r.TLS, r.SNI, r.App, r.Up, r.Down = true, s.TLS, s.SNI, s.App, s.BytesUp, s.BytesDown
		r.JA4, r.JA4S, r.JA4H, r.Requests, r.Signatures = s.JA4Client, s.JA4Server, s.JA4HTTP, s.Details, s.Signatures
		r.RequestsDropped = max(0, c.DetailsListed-len(s.Details))
	}
	if s := c.Statistics; s != nil {
		r.EntropyUp, r.EntropyDown, r.Skew = s.Up, s.Down, s.Skew
	}
	return r
}

// Merge adds the content of a late record.
func (r *Record) Merge(late *Record) {
	if late.Stopped && !r.Stopped {
		r.Stopped, r.TLS, r.SNI, r.App, r.Up, r.Down = true, late.TLS, late.SNI, late.App, late.Up, late.Down
		r.JA4, r.JA4S, r.JA4H, r.Requests, r.Signatures = late.JA4, late.JA4S, late.JA4H, late.Requests, late.Signatures
		r.RequestsDropped = late.RequestsDropped
		if late.Policy != event.PolicyUnknown {
			r.Policy = late.Policy
		}
	}
	if r.EntropyUp == nil && r.EntropyDown == nil && r.Skew == nil {
		r.EntropyUp, r.EntropyDown, r.Skew = late.EntropyUp, late.EntropyDown, late.Skew
	}
	if r.Sinkhole == nil {
		r.Sinkhole = late.Sinkhole
	}
	if r.Verdict == "" {
		r.Verdict, r.Rule = late.Verdict, late.Rule
	}
	if r.Label == "" {
		r.Label = late.Label
	}
}

// SetSubject fills in what a query needs of a record.
func (r *Record) SetSubject(s *search.Subject, needs search.Fields) {
	*s = search.Subject{
		Source: r.Source, ID: r.ID, N: r.N, State: search.StateOf(r.State, r.Unknown), Reason: r.Reason, Transport: r.Transport, SNI: r.SNI, App: r.App,
		JA4: r.JA4, Policy: r.Policy, Verdict: r.Verdict, Rule: r.Rule, DryRunRule: r.DryRunRule, Stopped: r.Stopped, Up: r.Up, Down: r.Down,
		Start: r.Start.UnixNano(), End: r.End.UnixNano(), Requests: r.Requests,
	}
	if needs&search.NeedSession != 0 {
		session := event.ParseSession(r.Label)
		s.Client, s.Server = session.Client, session.Server
	}
	s.SetEntropy(r.EntropyUp, r.EntropyDown)
}
