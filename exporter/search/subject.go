package search

import (
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// State is the state of a connection.
type State uint8

// The states.
const (
	Open State = iota
	// Unknown is the state of an open connection whose proxy is down.
	Unknown
	Closing
	Finished
)

var stateNames = [...]string{"open", "unknown", "closing", "finished"}

// isOver reports whether the connection has ended.
func (s State) isOver() bool { return s == Closing || s == Finished }

func (s State) String() string { return stateNames[s] }

func parseState(name string) (State, bool) {
	for s, n := range stateNames {
		if n == name {
			return State(s), true
		}
	}
	return 0, false
}

// stateSet is a set of states, one bit for each.
type stateSet uint8

func (s stateSet) has(state State) bool { return s&(1<<state) != 0 }

// Fields are fields of a Subject that cost something to fill in. All others are always set.
type Fields uint8

// The fields.
const (
	NeedSession  Fields = 1 << iota // Client and Server
	NeedRequests                    // Requests
)

// Subject is a connection as far as a query looks at it.
type Subject struct {
	Source, ID string
	N          uint32
	State      State
	Reason     track.Reason
	// Client and Server are of the session label.
	Client, Server event.Endpoint
	// Transport is the start's; see transport.
	Transport event.Transport
	SNI, App  string
	JA4       string
	Policy    int
	// Verdict is "" without an access-request.
	Verdict          event.Verdict
	Rule, DryRunRule string
	// Up and Down are valid if Stopped is set.
	Stopped  bool
	Up, Down uint64
	// Entropy is the higher one of both directions; valid if Measured is set.
	Measured bool
	Entropy  float64
	// Start and End are in Unix ns; End is valid if the connection is over.
	Start, End int64
	Requests   []string
}

// transport returns the transport in the start, or else in the session label.
func (s *Subject) transport() event.Transport {
	return event.Session{Client: s.Client, Server: s.Server}.TransportOr(s.Transport)
}

// SetConnection fills in the fields of a connection.
func (s *Subject) SetConnection(c *track.Connection, needs Fields) {
	*s = Subject{
		Source: c.Source, ID: c.ID, N: c.N, State: StateOf(c.State, c.IsUnknown()), Reason: c.Reason(), Transport: c.Transport, Policy: c.Policy(),
	}
	if needs&NeedSession != 0 {
		session := c.Session()
		s.Client, s.Server = session.Client, session.Server
	}
	if stop := c.Stop; stop != nil {
		s.SNI, s.App, s.JA4, s.Stopped, s.Up, s.Down = stop.SNI, stop.App, stop.JA4Client, true, stop.BytesUp, stop.BytesDown
		s.Requests = stop.Details
	}
	s.Verdict, s.Rule, _ = c.Verdict()
	if c.Decision != nil {
		s.DryRunRule = c.Decision.DryRunRule
	}
	if c.Statistics != nil {
		s.SetEntropy(c.Statistics.Up, c.Statistics.Down)
	}
	start, _ := c.Start()
	s.Start = start.UnixNano()
	if s.State.isOver() {
		end, _ := c.End()
		s.End = end.UnixNano()
	}
}

// SetEntropy sets Measured and Entropy; a direction is nil if it was not measured.
func (s *Subject) SetEntropy(up, down *event.Entropy) {
	for _, e := range []*event.Entropy{up, down} {
		if e != nil {
			s.Measured, s.Entropy = true, max(s.Entropy, e.Bits)
		}
	}
}

// StateOf returns the state in searches. unknown is track.Connection.IsUnknown.
func StateOf(s track.State, unknown bool) State {
	switch {
	case s == track.StateClosing:
		return Closing
	case s == track.StateClosed:
		return Finished
	case unknown:
		return Unknown
	default:
		return Open
	}
}
