package track

import (
	"slices"
	"time"

	"smithproxy_exporter/exporter/event"
)

// Decision is an access-request and how it was answered. The request names its connection by the
// session label only: the tracker finds out which connection it was.
type Decision struct {
	Source string
	// ID is what the answer carried as "decision", for the proxy to echo.
	ID string
	// ConnectionID is the OID id when the request had one, as in the HOWTO; else "".
	ConnectionID string
	Label        string
	Session      event.Session `json:"-"`
	Policy       int
	Verdict      event.Verdict
	Rule         string
	// DryRunRule is the rule that would have rejected if it was not on trial; "" when none would.
	DryRunRule string
	// Received and Answered are of the first request, for a proxy can ask more than once.
	Received, Answered time.Time
	Requests           int

	// Repeats are the ids of the answers to further requests about the same connection, of which the
	// proxy may echo any.
	Repeats []string `json:",omitzero"`
	// Doubtful is set while it is taken for a repeat, though it may be about another connection.
	Doubtful bool `json:",omitzero"`
	// EchoedAt is when the proxy echoed its id, being done with the connection; zero before.
	EchoedAt time.Time `json:",omitzero"`

	// claimed is set once a connection has it, queued while it is in the queue of pendingDecisions.
	claimed, queued bool
}

// carries reports whether an answer with the id belongs to the decision.
func (d *Decision) carries(id string) bool { return d.ID == id || slices.Contains(d.Repeats, id) }

// isAbout reports whether d can be about the connection that has the label.
func (d *Decision) isAbout(label string, s event.Session) bool {
	return d.Label == label || d.Session.SameConnection(s)
}

// canRepeat reports whether d can ask again about the connection of o. Once the proxy has echoed an answer it
// is done with the connection.
func (d *Decision) canRepeat(o *Decision) bool {
	return d.isAbout(o.Label, o.Session) && (o.EchoedAt.IsZero() || d.Received.Before(o.EchoedAt))
}

// join adds a repeated request to the decision.
func (d *Decision) join(repeat Decision) {
	d.Requests++
	if repeat.Received.Before(d.Received) {
		d.Received, d.Answered = repeat.Received, repeat.Answered
		d.ID, repeat.ID = repeat.ID, d.ID
	}
	if repeat.ID != d.ID && len(d.Repeats) < maxRepeats {
		d.Repeats = append(d.Repeats, repeat.ID)
	}
}

// maxRepeats bounds the ids that are remembered of repeats: a proxy asks twice, and tries five times.
const maxRepeats = 10

// expectedRequests is how often a proxy asks about one connection: over SOCKS, where it knows the
// policy, twice.
func (d *Decision) expectedRequests() int {
	if d.Policy == event.PolicyUnknown {
		return 1
	}
	return 2
}

// pendingDecisions are the decisions of one proxy that no connection has claimed yet. Those whose
// connection is finished are remembered for a moment more, for a repeat that was overtaken.
type pendingDecisions struct {
	byClient map[client][]*Decision
	byID     map[string]*Decision // the same, by all ids they carry
	queue    queue[*Decision]     // by Received

	// settled are those whose connection is finished; settledQueue is in the order of that.
	settled      map[client]*Decision
	settledQueue queue[settlement]
}

type settlement struct {
	key client
	d   *Decision
	at  time.Time
}

func newPendingDecisions() pendingDecisions {
	return pendingDecisions{byClient: map[client][]*Decision{}, byID: map[string]*Decision{}, settled: map[client]*Decision{}}
}

// settle remembers the decision of a connection that was finished at the given time.
func (p *pendingDecisions) settle(d *Decision, at time.Time) {
	key := clientOf(d.Label, d.Session)
	p.settled[key] = d
	p.settledQueue.push(settlement{key, d, at})
}

// unsettle forgets the decisions that were settled before the given time.
func (p *pendingDecisions) unsettle(before time.Time) {
	for {
		oldest, ok := p.settledQueue.peek()
		if !ok || !oldest.at.Before(before) {
			return
		}
		if p.settled[oldest.key] == oldest.d {
			delete(p.settled, oldest.key)
		}
		p.settledQueue.pop()
	}
}

func (p *pendingDecisions) add(d *Decision) {
	key := clientOf(d.Label, d.Session)
	if same := p.byClient[key]; len(same) < maxSameClient {
		p.byClient[key] = append(same, d)
	}
	p.byID[d.ID] = d
	for _, id := range d.Repeats {
		p.byID[id] = d
	}
	if !d.queued {
		d.queued = true
		p.queue.push(d)
	}
}

// repeat lets a decision be found by the id of one that repeats it.
func (p *pendingDecisions) repeat(d *Decision, id string) {
	if !d.claimed {
		p.byID[id] = d
	}
}

// find returns the oldest decision about a connection with the label. One that may only be a repeat comes
// last, and of those the newest, for a connection that nobody saw end may have left the others.
func (p *pendingDecisions) find(label string, s event.Session) *Decision {
	var found *Decision
	for _, d := range p.byClient[clientOf(label, s)] {
		switch {
		case !d.isAbout(label, s):
		case !d.Doubtful:
			return d
		default:
			found = d
		}
	}
	return found
}

// claim takes d out of the search; it stays in the queue until it is due.
func (p *pendingDecisions) claim(d *Decision) {
	d.claimed = true
	for _, id := range append(d.Repeats, d.ID) {
		if p.byID[id] == d {
			delete(p.byID, id)
		}
	}
	key := clientOf(d.Label, d.Session)
	rest := slices.DeleteFunc(p.byClient[key], func(o *Decision) bool { return o == d })
	if len(rest) == 0 {
		delete(p.byClient, key)
	} else {
		p.byClient[key] = rest
	}
}
