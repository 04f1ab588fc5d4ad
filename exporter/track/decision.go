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
	// Received and Answered are of the first request, for a proxy can ask more than once.
	Received, Answered time.Time
	Requests           int

	// claimed is set once a connection has it.
	claimed bool
}

// isAbout reports whether d can be about the connection that has the label.
func (d *Decision) isAbout(label string, s event.Session) bool {
	return d.Label == label || d.Session.SameConnection(s)
}

// join adds a repeated request to the decision.
func (d *Decision) join(repeat Decision) {
	d.Requests++
	if repeat.Received.Before(d.Received) {
		d.Received, d.Answered, d.ID = repeat.Received, repeat.Answered, repeat.ID
	}
}

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
	queue    queue[*Decision] // by Received

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
	return pendingDecisions{byClient: map[client][]*Decision{}, settled: map[client]*Decision{}}
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
	p.queue.push(d)
}

// find returns the oldest decision about a connection with the label; one with the given decision id
// comes first.
func (p *pendingDecisions) find(label string, s event.Session, id string) *Decision {
	var found *Decision
	for _, d := range p.byClient[clientOf(label, s)] {
		if !d.isAbout(label, s) {
			continue
		}
		if id != "" && d.ID == id {
			return d
		}
		if found == nil {
			found = d
		}
	}
	return found
}

// claim takes d out of the search; it stays in the queue until it is due.
func (p *pendingDecisions) claim(d *Decision) {
	d.claimed = true
	key := clientOf(d.Label, d.Session)
	rest := slices.DeleteFunc(p.byClient[key], func(o *Decision) bool { return o == d })
	if len(rest) == 0 {
		delete(p.byClient, key)
	} else {
		p.byClient[key] = rest
	}
}
