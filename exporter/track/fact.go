package track

import (
	"time"

	"smithproxy_exporter/exporter/event"
)

// Fact is something that became known. The tracker passes facts to its emit function in the order in
// which they became known; each says one thing, once.
//
// A sink must not change what a fact points to. It may keep the record of Finished, Late and Unclaimed,
// which the tracker never touches again; all others it must not keep after it returns.
type Fact interface{ fact() }

// Outcome says what became of an event.
type Outcome uint8

// The outcomes.
const (
	Applied   Outcome = iota // it said something new, or is of a kind that always does
	Repeated                 // it said nothing new: a delivery that the proxy repeated
	Untracked                // its source is not tracked: there are as many proxies as there may be
)

// Received is one event that was accepted, whatever became of it.
type Received struct {
	Source  string
	Action  event.Action
	Outcome Outcome
}

// ProxyAppeared is the first event of a proxy, or the first since it was forgotten, or a proxy that was
// restored at the start of the exporter.
type ProxyAppeared struct{ Source string }

// ProxyForgotten is a proxy that is no longer tracked.
type ProxyForgotten struct{ Source string }

// ProxyStatus is how a proxy stands. It follows whatever changed any of it, once for many changes, and
// moves gauges only.
type ProxyStatus struct {
	Source string
	// Instance is the boot id, "" while it is unknown.
	Instance string
	// Up is false once no ping came within the ping timeout. It means nothing while Unknown is set: the
	// proxy never pinged, and may still do so in time.
	Up, Unknown bool
	// PingedAt is the zero time for a proxy that never pinged.
	PingedAt time.Time
	// Open is the number of connections that are open, Neighbors that of addresses seen within the window.
	Open, Neighbors int
}

// ProxyRestarted is a proxy that came back with another boot id.
type ProxyRestarted struct{ Source, Old, New string }

// NeighborSeen is a sign of life of a client address. Discovered is set when the proxy called it new,
// Restored when it is remembered from before the start of the exporter.
type NeighborSeen struct {
	Source, Address      string
	At                   time.Time
	Discovered, Restored bool
}

// ContentSeen is decrypted payload that passed through the receiver.
type ContentSeen struct {
	Source, Side string
	Bytes        int
}

// Started is a connection whose start arrived; its end may have come before.
type Started struct{ C *Connection }

// Adopted is a connection that a ping lists as open, and of which nothing was received.
type Adopted struct{ C *Connection }

// StillOpen is a connection that has been open for the open age, or twice, four times … as long: at the
// given time.
type StillOpen struct {
	C  *Connection
	At time.Time
}

// Stopped is a connection whose stop arrived, and with it what it carried.
type Stopped struct{ C *Connection }

// Profiled is a connection of which connection-info brought statistics or sinkhole results: New says
// which of the two are in C and were not before.
type Profiled struct {
	C                *Connection
	Statistics, Sink bool
}

// Ended is a connection that is over, for C.Reason, which is final. More about it can follow.
type Ended struct{ C *Connection }

// Finished is a connection's whole record: nothing more is expected. It comes once, after Ended.
type Finished struct{ C *Connection }

// Late is something new about a connection that was finished before. C holds only what is new, and the
// reason for which it was closed.
type Late struct {
	C      *Connection
	Action event.Action
	At     time.Time
}

// Decided is an access-request that was answered. Repeat is set when it asks again about the same
// connection, as 2025 proxies do over SOCKS. A decision that was taken for a repeat and turns out to be
// about a connection of its own comes once more, with neither set, and Corrected set.
type Decided struct {
	D                 *Decision
	Repeat, Corrected bool
}

// Unclaimed is a decision whose connection never became known.
type Unclaimed struct{ D *Decision }

func (Received) fact()       {}
func (ProxyAppeared) fact()  {}
func (ProxyForgotten) fact() {}
func (ProxyStatus) fact()    {}
func (ProxyRestarted) fact() {}
func (NeighborSeen) fact()   {}
func (ContentSeen) fact()    {}
func (Started) fact()        {}
func (Adopted) fact()        {}
func (StillOpen) fact()      {}
func (Stopped) fact()        {}
func (Profiled) fact()       {}
func (Ended) fact()          {}
func (Finished) fact()       {}
func (Late) fact()           {}
func (Decided) fact()        {}
func (Unclaimed) fact()      {}

// Sink takes facts. Take is called from the goroutine that owns the tracker, and must not block.
type Sink interface{ Take(Fact) }
