package track

import (
	"time"

	"smithproxy_exporter/exporter/event"
)

// Fact is something that became known. The tracker hands facts to its emit function in the order in
// which they became known; each says one thing, and says it once.
//
// Facts carry pointers to the tracker's own records: a sink must not change them, and must not keep
// them after it returns, save those of Finished, Late and Unclaimed, which the tracker has let go of.
type Fact interface{ fact() }

// Received is one event that was accepted, repeats included.
type Received struct {
	Source string
	Action event.Action
}

// Duplicate is an event that said nothing new.
type Duplicate struct {
	Source string
	Action event.Action
}

// ProxyAppeared is the first word of a proxy, or the first since it was forgotten.
type ProxyAppeared struct{ Source string }

// ProxyForgotten is a proxy that said nothing for so long that it is not expected back.
type ProxyForgotten struct{ Source string }

// Untracked is an event that nothing else comes of: there are as many proxies as there may be, and its
// source is none of them.
type Untracked struct {
	Source string
	Action event.Action
}

// Restored is a proxy that is remembered from before the exporter was started anew: its last ping, its
// boot id ("" if none was seen) and whether it was silent. It follows its ProxyAppeared, and what it says
// was counted then: it moves gauges, and no counter.
type Restored struct {
	Source, Instance string
	PingedAt         time.Time // zero if it never pinged
	Silent           bool
}

// Pinged is a ping.
type Pinged struct {
	Source string
	At     time.Time
}

// ProxySilent is a proxy without a ping for the ping timeout.
type ProxySilent struct{ Source string }

// InstanceChanged is a boot id that was not known: Old is "" for a proxy's first one, else the proxy
// restarted.
type InstanceChanged struct{ Source, Old, New string }

// NeighborSeen is a sign of life of a client address. Discovered is set when the proxy called it new.
type NeighborSeen struct {
	Source, Address string
	At              time.Time
	Discovered      bool
}

// NeighborsAlive is how many client addresses were seen within the window.
type NeighborsAlive struct {
	Source string
	Count  int
}

// ConnectionsActive is how many connections of a proxy are open, as far as is known.
type ConnectionsActive struct {
	Source string
	Count  int
}

// TakenOver is a connection that a ping named as open, and of which nothing was received.
type TakenOver struct{ C *Connection }

// StillOpen is a connection that has been open for the open age, or twice, four times … as long: at the
// given time. The sinks hear of it a moment later.
type StillOpen struct {
	C  *Connection
	At time.Time
}

// Opened is a connection whose start arrived; its end may have come before.
type Opened struct{ C *Connection }

// Stopped is a connection whose stop arrived, and with it what it carried.
type Stopped struct{ C *Connection }

// Profiled is a connection whose statistics arrived.
type Profiled struct{ C *Connection }

// Closed is a connection that is over, for C.Reason. It comes once, and before Finished: more about
// the connection can follow.
type Closed struct{ C *Connection }

// Finished is a connection's whole record: nothing more is expected.
type Finished struct{ C *Connection }

// Late is something new about a connection that was finished before. C holds only what is new, and
// the reason for which it was closed then.
type Late struct {
	C      *Connection
	Action event.Action
	At     time.Time
}

// Decided is an answered access-request. Repeat is set for one that asks again about the same
// connection, as a proxy does over SOCKS.
type Decided struct {
	D      *Decision
	Repeat bool
}

// Recounted is a decision that was taken for a repeat (its Decided said so), and turned out to be about a
// connection of its own.
type Recounted struct{ D *Decision }

// Unclaimed is a decision whose connection never became known.
type Unclaimed struct{ D *Decision }

// ContentSeen is decrypted payload that passed through the receiver.
type ContentSeen struct {
	Source, Side string
	Bytes        int
}

func (Received) fact()          {}
func (Duplicate) fact()         {}
func (ProxyAppeared) fact()     {}
func (ProxyForgotten) fact()    {}
func (Untracked) fact()         {}
func (Restored) fact()          {}
func (Pinged) fact()            {}
func (ProxySilent) fact()       {}
func (InstanceChanged) fact()   {}
func (NeighborSeen) fact()      {}
func (NeighborsAlive) fact()    {}
func (ConnectionsActive) fact() {}
func (TakenOver) fact()         {}
func (StillOpen) fact()         {}
func (Opened) fact()            {}
func (Stopped) fact()           {}
func (Profiled) fact()          {}
func (Closed) fact()            {}
func (Finished) fact()          {}
func (Late) fact()              {}
func (Decided) fact()           {}
func (Recounted) fact()         {}
func (Unclaimed) fact()         {}
func (ContentSeen) fact()       {}

// Sink takes facts. Take is called from one goroutine, which also moves the state: it must not block.
type Sink interface{ Take(Fact) }
