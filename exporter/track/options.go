package track

import (
	"time"

	"smithproxy_exporter/exporter/event"
)

// Options are the times and bounds of a Tracker. The zero value of each is not usable; start from
// DefaultOptions.
type Options struct {
	// Linger is how long what can still come is waited for. It must be longer than the proxy takes
	// to give up on an event (five tries of 5 s) and than the lag of its infos (13 s seen; up to 30 s
	// are promised to users).
	Linger time.Duration
	// PingGrace is how long before a ping a connection must have been heard of for its absence from
	// the ping's list to mean anything.
	PingGrace time.Duration
	// NegotiationGrace takes PingGrace's place for connections whose server is not known yet: the
	// lists lack them during the whole SOCKS negotiation.
	NegotiationGrace time.Duration
	// PingTimeout is how long after its last ping a proxy counts as silent.
	PingTimeout time.Duration
	// NeighborWindow is how long after its last sign of life a client address counts as alive.
	NeighborWindow time.Duration
	// OpenAge is the age at which a connection is told of while it is open, and then at each doubling of
	// it; 0 is never.
	OpenAge time.Duration
	// ForgetAfter is how long a proxy that says nothing at all is remembered.
	ForgetAfter time.Duration
	// MaxConnections bounds the records held for one proxy; beyond it the oldest one is closed as
	// lost.
	MaxConnections int
	// MaxNeighbors bounds the client addresses held for one proxy; beyond it the one that was silent
	// longest goes.
	MaxNeighbors int
	Limits       Limits
}

// Limits bound what a record keeps of what the network chose.
type Limits struct {
	// TextBytes is the length of any one string, in bytes.
	TextBytes int
	// ListItems is the length of the lists of details and signatures.
	ListItems int
}

// DefaultOptions are what the exporter runs with unless it is told otherwise.
func DefaultOptions() Options {
	return Options{
		Linger:           35 * time.Second,
		PingGrace:        10 * time.Second,
		NegotiationGrace: time.Minute,
		PingTimeout:      5 * time.Minute,
		NeighborWindow:   10 * time.Minute,
		OpenAge:          5 * time.Minute,
		ForgetAfter:      7 * 24 * time.Hour,
		MaxConnections:   100_000,
		MaxNeighbors:     10_000,
		Limits:           Limits{TextBytes: 1024, ListItems: 64},
	}
}

func (l Limits) cut(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	kept := make([]string, min(len(list), l.ListItems))
	for i := range kept {
		kept[i] = event.Cut(list[i], l.TextBytes)
	}
	return kept
}
