package track

// State is where a connection is in its life. The diagram is in docs/design.md.
type State uint8

// The states.
const (
	stateNone    State = iota
	StateOpen          // not known to have ended
	StateClosing       // ended for a Cause; more events may follow within the grace period
	StateClosed        // finished; a tombstone recognises repeats
)

func (s State) String() string { return [...]string{"none", "open", "closing", "closed"}[s] }

// Cause is how the tracker found out that a connection ended.
type Cause uint8

// The causes. Within the grace period, stronger evidence can replace the first four.
const (
	causeNone     Cause = iota
	CauseAbsence        // missing from two lists in a row, after an earlier list had it
	CauseReplaced       // its id was given to a connection of another client
	CauseInfo           // connection-info without a stop
	CauseRestart        // its proxy has another boot id, or was shut down
	CauseReject         // the proxy echoed a reject
	CauseStop           // its stop was received
	CauseIdle           // no sign of life for the idle timeout
	CauseDown           // its proxy has been down for the down timeout
	CauseEvicted        // there were too many connections
)

// Reason is a Cause as users see it.
type Reason string

// The reasons. The real end is not known for ReasonLost, ReasonRestart and ReasonEvicted.
const (
	ReasonNone     Reason = ""
	ReasonStop     Reason = "stop"
	ReasonRejected Reason = "rejected"
	ReasonLost     Reason = "lost"
	ReasonRestart  Reason = "restart"
	ReasonEvicted  Reason = "evicted"
)

// Reasons are all reasons why a connection can end.
var Reasons = []Reason{ReasonStop, ReasonRejected, ReasonLost, ReasonRestart, ReasonEvicted}

// Reason returns the reason that users see.
func (c Cause) Reason() Reason {
	switch c {
	case causeNone:
		return ReasonNone
	case CauseStop:
		return ReasonStop
	case CauseReject:
		return ReasonRejected
	case CauseRestart:
		return ReasonRestart
	case CauseEvicted:
		return ReasonEvicted
	default:
		return ReasonLost
	}
}

// input is an event in the life of a connection that can change its state.
type input uint8

const (
	inAlive     input = iota // its start, or an access-request about it
	inListed                 // a ping lists it
	inStop                   // its stop
	inInfo                   // its info, without an echoed reject
	inReject                 // its info, with an echoed reject
	inAbsent                 // missing from a second list in a row
	inReplaced               // its id is used by a connection of another client
	inRestart                // another boot id
	inShutdown               // its info is one of many that the proxy sent when it was shut down
	inIdle                   // the idle timeout
	inDown                   // the down timeout of its proxy
	inEvict                  // too many connections
	inGraceOver              // the end of the grace period
	inComplete               // all expected events were received
	inputs
)

// next is the transition table: it returns the state and cause that follow from an input in state s with cause why.
// Inputs that are not listed change nothing. The first of stop and reject is final.
func next(s State, why Cause, in input) (State, Cause) {
	switch s {
	case stateNone, StateOpen:
		switch in {
		case inAlive, inListed:
			return StateOpen, causeNone
		case inStop:
			return StateClosing, CauseStop
		case inInfo:
			return StateClosing, CauseInfo
		case inReject:
			return StateClosing, CauseReject
		case inAbsent:
			return StateClosing, CauseAbsence
		case inReplaced:
			return StateClosing, CauseReplaced
		case inRestart:
			return StateClosing, CauseRestart
		case inIdle:
			return StateClosed, CauseIdle
		case inDown:
			return StateClosed, CauseDown
		case inEvict:
			return StateClosed, CauseEvicted
		}
	case StateClosing:
		final := why == CauseStop || why == CauseReject
		switch {
		case in == inEvict, in == inGraceOver, in == inComplete:
			return StateClosed, why
		case in == inStop && !final:
			return StateClosing, CauseStop
		case in == inReject && !final:
			return StateClosing, CauseReject
		case in == inInfo && (why == CauseAbsence || why == CauseReplaced):
			return StateClosing, CauseInfo
		case in == inShutdown && why == CauseInfo:
			return StateClosing, CauseRestart
		case in == inListed && why == CauseAbsence:
			return StateOpen, causeNone
		}
	}
	return s, why
}
