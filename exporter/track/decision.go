package track

import (
	"slices"
	"time"

	"smithproxy_exporter/exporter/event"
)

// Decision is an access-request and how it was answered. The request names its connection by the
// session label only; decisions finds out which connection it was.
type Decision struct {
	Source string
	// ID is what the answer carried as "decision", for the proxy to echo.
	ID string
	// ConnectionID is the connection's id when the request had one, as in the HOWTO; else "".
	ConnectionID string
	Label        string
	Policy       int
	Verdict      event.Verdict
	Rule         string
	// DryRunRule is the dry-run rule that would have rejected; "" when none would.
	DryRunRule string
	// Received and Answered are of the first request, by the wall clock; Mono is the running time at
	// Received.
	Received, Answered time.Time
	Mono               time.Duration
	// Requests is how often the proxy asked about the connection.
	Requests int

	// Repeats are the ids of the answers to further requests about the same connection, of which the
	// proxy may echo any.
	Repeats []string `cbor:",omitempty"`
	// Doubtful is set while it is taken for a repeat, though it may be about another connection.
	Doubtful bool `cbor:",omitempty"`
	// EchoedAt is the running time at which the proxy echoed its id, being done with the connection; 0
	// before.
	EchoedAt time.Duration `cbor:",omitempty"`
}

// Session is what Label says.
func (d *Decision) Session() event.Session { return event.ParseSession(d.Label) }

func (d *Decision) received() Instant { return At(d.Received, d.Mono) }

func (d *Decision) answered() Instant { return At(d.Answered, d.Mono+d.Answered.Sub(d.Received)) }

// carries reports whether an answer with the id belongs to the decision.
func (d *Decision) carries(id string) bool { return d.ID == id || slices.Contains(d.Repeats, id) }

// isAbout reports whether d can be about the connection that has the label.
func (d *Decision) isAbout(label string) bool {
	return d.Label == label || d.Session().SameConnection(event.ParseSession(label))
}

// comesBefore reports whether d was received before everything else of the connection, as it must be for the stream of a
// QUIC connection.
func (d *Decision) comesBefore(c *Connection) bool {
	return d.Session().Transport() != event.QUIC || d.Mono <= c.first.Mono
}

// canRepeat reports whether d can ask again about the connection of o. Once the proxy has echoed an answer it
// is done with the connection.
func (d *Decision) canRepeat(o *Decision) bool {
	return d.isAbout(o.Label) && (o.EchoedAt == 0 || d.Mono < o.EchoedAt)
}

// maxRepeats bounds the ids that are remembered of repeats: a proxy asks twice, and tries five times.
const maxRepeats = 10

// join adds a repeated request to the decision.
func (d *Decision) join(repeat Decision) {
	d.Requests++
	if repeat.Mono < d.Mono {
		d.Received, d.Answered, d.Mono = repeat.Received, repeat.Answered, repeat.Mono
		d.ID, repeat.ID = repeat.ID, d.ID
	}
	if repeat.ID != d.ID && len(d.Repeats) < maxRepeats {
		d.Repeats = append(d.Repeats, repeat.ID)
	}
}

// expectedRequests is how often a proxy may ask about one connection: where it knows the policy, which is
// over SOCKS, a 2025 one asks twice. Newer ones ask once.
func (d *Decision) expectedRequests() int {
	if d.Policy == event.PolicyUnknown {
		return 1
	}
	return 2
}
