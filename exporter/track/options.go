package track

import (
	"time"

	"smithproxy_exporter/exporter/event"
)

// Options are the times and bounds of a Tracker. Start from DefaultOptions.
type Options struct {
	// Grace is how long the tracker waits for what may still come of a connection that is over. It must
	// be longer than the proxy takes to give up on an event (25 s: five tries of 5 s) and than the lag of
	// connection-info (13 s measured).
	Grace time.Duration
	// IdleAge is the age without any sign of life at which an open connection is closed as lost; 0 is
	// never. It is for connections that no ping lists: HTTP CONNECT, SOCKS UDP, QUIC, and proxies that
	// send no lists.
	IdleAge time.Duration
	// OpenAge is the age at which an open connection is reported, and then at each doubling of it; 0 is
	// never.
	OpenAge time.Duration
	// PingTimeout is how long after its last ping a proxy counts as down.
	PingTimeout time.Duration
	// DownAge is how long a proxy must be down for its open connections to be closed as lost; 0 is never.
	DownAge time.Duration
	// NeighborWindow is how long after its last sign of life a client address counts as alive.
	NeighborWindow time.Duration
	// ForgetAge is the silence after which a proxy is forgotten.
	ForgetAge time.Duration

	// MaxProxies bounds the proxies; see admission.go for which one is replaced.
	MaxProxies int
	// MaxConnections bounds the connections of one proxy; beyond it the oldest one is evicted.
	MaxConnections int
	// MaxNeighbors bounds the client addresses of one proxy; beyond it the least recently seen one goes.
	MaxNeighbors int
	// MaxTotalConnections and MaxTotalNeighbors bound all proxies together: the proxy with the most gives
	// up its oldest.
	MaxTotalConnections, MaxTotalNeighbors int

	Limits Limits
}

// Limits bound what a record keeps of what the network chose.
type Limits struct {
	// TextBytes is the length of any one string, in bytes.
	TextBytes int
	// ListItems is the length of the lists of details and signatures.
	ListItems int
}

// DefaultOptions are what the exporter runs with unless it is configured otherwise.
func DefaultOptions() Options {
	return Options{
		Grace:          35 * time.Second,
		IdleAge:        2 * time.Hour,
		OpenAge:        5 * time.Minute,
		PingTimeout:    5 * time.Minute,
		DownAge:        10 * time.Minute,
		NeighborWindow: 10 * time.Minute,
		ForgetAge:      7 * 24 * time.Hour,

		MaxProxies:          1000,
		MaxConnections:      100_000,
		MaxNeighbors:        10_000,
		MaxTotalConnections: 200_000, // about 600 bytes each
		MaxTotalNeighbors:   200_000,

		Limits: Limits{TextBytes: 1024, ListItems: 64},
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
