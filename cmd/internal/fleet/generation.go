package fleet

import "time"

// Generation is a group of smithproxy versions with the same behavior on the wire.
type Generation string

// The known generations.
const (
	// Generation2025 is smithproxy 0.9.32 of September 2025.
	Generation2025 Generation = "2025"
	// GenerationPTR is smithproxy of summer 2026: ids are addresses of objects.
	GenerationPTR Generation = "ptr"
	// Generation2026 is smithproxy of October 2026: ids are a counter, delivery
	// is bounded, and access-requests fail closed.
	Generation2026 Generation = "2026"
)

// Generations are all generations, the oldest first.
var Generations = []Generation{Generation2025, GenerationPTR, Generation2026}

// idKind is the third part of a connection's id.
type idKind string

const (
	kindOID idKind = "OID" // number of an object, nearly the same after a restart
	kindPTR idKind = "PTR" // address of an object, reused once it is freed
	kindSID idKind = "SID" // counter of the process
)

// behavior has everything in which generations differ.
type behavior struct {
	idKind idKind
	// emptyList is the JSON of an empty list in a ping.
	emptyList string

	// tries is the number of deliveries of one event, retryDelay the time before
	// each after the first.
	tries      int
	retryDelay time.Duration
	// retryAll retries after any transfer failure; without it the proxy retries only if nothing was sent: the name was not
	// resolved, or the connection was refused.
	retryAll bool
	// sharedTimeout bounds all tries of an event together instead of each.
	sharedTimeout bool
	// queueLimit bounds the asynchronous events that are queued or being sent; 0 is no bound.
	queueLimit int
	// expectContinue sends Expect: 100-continue before a large body.
	expectContinue bool

	// socksAsks is the number of access-requests of a connection over SOCKS.
	socksAsks int
	// failClosed blocks a connection whose access-request got no valid answer.
	failClosed bool
	// announcesDenied announces the client address of a denied transparent connection, too.
	announcesDenied bool
	// refreshGap is the least time between two refreshes that a 202 causes.
	refreshGap time.Duration
	// infosAtStop sends the connection-info of open connections after a SIGTERM; without it, queued events are discarded.
	infosAtStop bool

	httpConnect, quic, ssh bool // which of these the proxy handles
	// readSample is the number of bytes that the entropy accounts for a read.
	readSample uint64
}

// behaviors is the table of the generations.
var behaviors = map[Generation]behavior{
	Generation2025: {
		idKind: kindOID, emptyList: "null",
		tries: 5, retryAll: true, expectContinue: true,
		socksAsks: 2, announcesDenied: true,
		infosAtStop: true,
		readSample:  512,
	},
	GenerationPTR: {
		idKind: kindPTR, emptyList: "null",
		tries: 5, retryAll: true, expectContinue: true,
		socksAsks: 1, announcesDenied: true,
		infosAtStop: true,
		httpConnect: true, quic: true,
		readSample: 512,
	},
	Generation2026: {
		idKind: kindSID, emptyList: "[]",
		tries: 2, retryDelay: 50 * time.Millisecond, sharedTimeout: true, queueLimit: 256,
		socksAsks: 1, failClosed: true, refreshGap: time.Second,
		httpConnect: true, quic: true, ssh: true,
		readSample: 562,
	},
}
