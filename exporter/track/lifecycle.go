package track

// State is where a connection is in its life. The diagram is in docs/design.md.
type State uint8

// The states.
const (
	stateNone    State = iota
	StateOpen          // it lives, as far as is known
	StateClosing       // it is over, for a Cause; more about it may come within the grace period
	StateClosed        // nothing more is expected; a tombstone recognises repeats
)

func (s State) String() string { return [...]string{"none", "open", "closing", "closed"}[s] }

// Cause is what showed that a connection is over.
type Cause uint8

// The causes. The first four can still give way to a better one within the grace period.
const (
	causeNone     Cause = iota
	CauseAbsence        // two lists in a row lacked it, and an earlier one had it
	CauseReplaced       // its id was given to a connection of another client
	CauseInfo           // its connection-info came, and no stop
	CauseRestart        // its proxy runs with another boot id, or was shut down
	CauseReject         // the proxy echoed the reject that it acted on
	CauseStop           // its stop came
	CauseIdle           // nothing was heard of it for the idle age
	CauseDown           // its proxy has been down for the down age
	CauseEvicted        // there were too many connections
)

// Reason is what users see of a Cause.
type Reason string

// The reasons. Rejected is a policy's outcome. For Lost, Restart and Evicted the real end is not known.
const (
	ReasonNone     Reason = ""
	ReasonStop     Reason = "stop"
	ReasonRejected Reason = "rejected"
	ReasonLost     Reason = "lost"
	ReasonRestart  Reason = "restart"
	ReasonEvicted  Reason = "evicted"
)

// Reasons are all reasons for which a connection can end.
var Reasons = []Reason{ReasonStop, ReasonRejected, ReasonLost, ReasonRestart, ReasonEvicted}

// Reason is what users see of the cause.
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

// input is what can move a connection from one state to another.
type input uint8

const (
	inAlive     input = iota // its start, or an access-request about it
	inListed                 // a ping lists it
	inStop                   // its stop
	inInfo                   // its info, with no reject echoed
	inReject                 // its info, with a reject echoed
	inAbsent                 // a second list in a row lacks it
	inReplaced               // another client's connection has its id
	inRestart                // another boot id
	inShutdown               // its info turns out to be one of many that a shutdown sent
	inIdle                   // the idle age
	inDown                   // the down age of its proxy
	inEvict                  // there is no room
	inGraceOver              // the end of the grace period
	inComplete               // nothing more can come
	inputs
)

// next is the whole life of a connection: what an input makes of one that is in state s, closing for
// why. Inputs that are not named change nothing: what has come first of stop and reject is final.
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
