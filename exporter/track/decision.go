package track

import (
	"slices"
	"time"

	"smithproxy_exporter/exporter/event"
)

// Decision is an access-request and its answer. The request identifies its connection only by the session label; see
// decisions for how it is joined with its connection.
type Decision struct {
	Source string
	// ID is the answer's "decision", which the proxy echoes.
	ID string
	// ConnectionID is the connection's id if the request has one, as in the HOWTO; else "".
	ConnectionID string
	Label        string
	Policy       int
	Verdict      event.Verdict
	Rule         string
	// DryRunRule is the dry-run rule that would have rejected the connection; "" if there is none.
	DryRunRule string
	// Received and Answered are of the first request, by the wall clock; Mono is the running time at
	// Received.
	Received, Answered time.Time
	Mono               time.Duration
	// Requests is how many access-requests the proxy sent for the connection.
	Requests int

	// Repeats are the ids of the answers to further requests for the same connection. The proxy may echo any of them.
	Repeats []string `cbor:",omitempty"`
	// Doubtful is set while the request counts as a repeat, although it may be for another connection.
	Doubtful bool `cbor:",omitempty"`
	// EchoedAt is the running time at which the proxy echoed the id: the connection is over then. 0 before.
	EchoedAt time.Duration `cbor:",omitempty"`
}

// Session returns the parsed Label.
func (d *Decision) Session() event.Session { return event.ParseSession(d.Label) }

func (d *Decision) received() Instant { return At(d.Received, d.Mono) }

func (d *Decision) answered() Instant { return At(d.Answered, d.Mono+d.Answered.Sub(d.Received)) }

// hasID reports whether one of the decision's answers has the id.
func (d *Decision) hasID(id string) bool { return d.ID == id || slices.Contains(d.Repeats, id) }

// isAbout reports whether d can be about the connection that has the label.
func (d *Decision) isAbout(label string) bool {
	return d.Label == label || d.Session().SameConnection(event.ParseSession(label))
}

// comesBefore reports whether d was received before every other event of the connection, as it must be for the stream of
// a QUIC connection.
func (d *Decision) comesBefore(c *Connection) bool {
	first := earlier(earlier(c.started, c.stopped), c.informed)
	return d.Session().Transport() != event.QUIC || first.IsZero() || d.Mono <= first.Mono
}

// canRepeat reports whether d can be a further request for the connection of o. There is none after the echo.
func (d *Decision) canRepeat(o *Decision) bool {
	return d.isAbout(o.Label) && (o.EchoedAt == 0 || d.Mono < o.EchoedAt)
}

// maxRepeats bounds Decision.Repeats: a proxy sends at most two requests, with five tries each.
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

// expectedRequests returns how many requests a proxy may send for one connection. A 2025 proxy sends two over SOCKS,
// where it knows the policy; newer ones send one.
func (d *Decision) expectedRequests() int {
	if d.Policy == event.PolicyUnknown {
		return 1
	}
	return 2
}
