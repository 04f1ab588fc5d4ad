package track

import (
	"time"

	"smithproxy_exporter/exporter/event"
)

// Fact is something that the tracker found out. It passes facts to its emit function in order, each once.
//
// A sink must not change what a fact points to. It may keep the records of Finished, Late and Unclaimed, which the
// tracker does not use any more, but no others after it returns.
type Fact interface{ fact() }

// Outcome is how the tracker handled an event.
type Outcome uint8

// The outcomes.
const (
	Applied   Outcome = iota // it had new content, or is of a kind that always has
	Repeated                 // it had no new content: a repeated delivery
	Untracked                // its source is not tracked, because ProxyConfig.Max was reached
)

// Received is an accepted event, whatever its outcome.
type Received struct {
	Source  string
	Action  event.Action
	Outcome Outcome
}

// ProxyAppeared is a proxy whose first event was received, or the first since it was forgotten, or that was restored at
// the start of the exporter.
type ProxyAppeared struct{ Source string }

// ProxyForgotten is a proxy that is no longer tracked. Asked is set if an operator asked for it.
type ProxyForgotten struct {
	Source string
	Asked  bool
}

// ProxyStatus is the state of a proxy. It is emitted after changes, once for many of them, and is for gauges only.
type ProxyStatus struct {
	Source string
	// Instance is the boot id, "" while it is unknown.
	Instance string
	// Up is false if no ping was received within the ping timeout. It is not valid while Unknown is set: the proxy has
	// never pinged, and the timeout is not over.
	Up, Unknown bool
	// PingedAt is the zero time for a proxy that never pinged.
	PingedAt time.Time
	// Open is the number of open connections, 0 while the proxy is down: whether they are open is not known then.
	// Neighbors is the number of addresses seen within the window.
	Open, Neighbors int
}

// ProxyRestarted is a proxy that came back with another boot id.
type ProxyRestarted struct{ Source, Old, New string }

// NeighborSeen is a client address that was seen. Discovered is set if the proxy reported it as new, Restored if it is
// from before the start of the exporter.
type NeighborSeen struct {
	Source, Address      string
	At                   time.Time
	Discovered, Restored bool
}

// ContentSeen is an event with decrypted payload.
type ContentSeen struct {
	Source, Side string
	Bytes        int
}

// Started is a connection whose start was received, possibly after its stop.
type Started struct{ C *Connection }

// Adopted is a connection that a ping lists as open before any event about it was received.
type Adopted struct{ C *Connection }

// StillOpen is a connection that has been open for ConnectionConfig.OpenSpanAge, or for 2, 4, 8 … times as long. At is
// when it reached that age. The fact is about connections whose trace is kept: if that becomes known later, or only at
// the end, it is emitted then.
type StillOpen struct {
	C  *Connection
	At time.Time
}

// Stopped is a connection whose stop was received.
type Stopped struct{ C *Connection }

// Profiled is a connection whose connection-info was received. Statistics and Sink say which of the two results are new
// in C.
type Profiled struct {
	C                *Connection
	Statistics, Sink bool
}

// Ended is a connection that ended. C.Reason is final, but more events of it can follow.
type Ended struct{ C *Connection }

// Finished is the complete record of a connection. It is emitted once, after Ended.
type Finished struct{ C *Connection }

// Late is an event with new content for a finished connection. C has only the new content, and the reason why the
// connection ended.
type Late struct {
	C      *Connection
	Action event.Action
	At     time.Time
}

// Decided is an answered access-request. Repeat is set if it is a further request for the same connection, as 2025
// proxies send over SOCKS. If such a request turns out to be for another connection, it is emitted again with Corrected
// set instead of Repeat.
type Decided struct {
	D                 *Decision
	Repeat, Corrected bool
}

// Unclaimed is a decision that matched no connection.
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
