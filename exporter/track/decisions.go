package track

import (
	"slices"
	"time"

	"smithproxy_exporter/exporter/event"
)

// decisions are the access decisions of one proxy, and the rules that join each with its connection:
//
//   - Label. In transparent mode the proxy sends an access-request for tcp_10.0.0.2:50000+tcp_10.1.1.1:80, and then the
//     start with the same label. Over SOCKS it sends the start, tcp_10.0.0.2:50000+0:0, and then the request, whose
//     label has the server, too. Client host and port are equal, and the known parts of the servers do not differ.
//   - Echo. The answer has an id, and connection-info echoes it. An echo overrides labels: a connection that was joined
//     with another decision by its label loses it.
//   - Repeats. A second request with the same label is a repeat, and is not counted again: a 2025 proxy sends two over
//     SOCKS, and any proxy retries if it got no answer. QUIC streams are different: they share the label of their QUIC
//     connection, and the proxy sends one request for each, before its start. So a request does not belong to a stream
//     that was known before.
//   - Doubtful repeats. In transparent mode a second request can also be for a new connection from the same client port.
//     It counts as a repeat and stays pending. If the start or the echo of a connection matches it, it is counted after
//     all (Decided with Corrected).
//   - Reordering. A request that is received up to maxRequestDelay after the connection's end can still belong to it,
//     because the proxy sends events from several threads.
//   - Unclaimed. A decision that matches no connection within the grace period gets a trace of its own.
//
// A decision is either pending here, with a record of its own in the store, or belongs to a connection.
type decisions struct {
	conns    *records
	byClient map[client][]*Decision
	byID     map[string]*Decision // by ID and Repeats
	queue    queue[*Decision]     // by Mono; may have decisions that are not pending any more
	pending  map[*Decision]struct{}

	// closed are copies of decisions whose connections finished less than maxRequestDelay ago, for repeats that are
	// received late; closedQueue is in the order in which they finished.
	closed      map[client]*Decision
	closedQueue queue[closedDecision]
	// Changes to be written to the store: pending decisions that changed, and the ids of decisions that are not
	// pending any more.
	changed []*Decision
	removed []string
}

type closedDecision struct {
	key client
	d   *Decision
	at  time.Duration
}

// maxRequestDelay is how long after the end of its connection an access-request can be received. A later one is for
// another connection from the same client port.
const maxRequestDelay = 2 * time.Second

func newDecisions(conns *records) decisions {
	return decisions{
		conns: conns, byClient: map[client][]*Decision{}, byID: map[string]*Decision{},
		pending: map[*Decision]struct{}{}, closed: map[client]*Decision{},
	}
}

// repeated is the result of record.
type repeated uint8

const (
	firstRequest    repeated = iota // not a repeat, and not pending yet: match it, or put it
	expectedRepeat                  // joined with an earlier decision, as expected
	doubtfulRequest                 // joined with an earlier decision, and pending as well
)

// record joins a new decision with the earlier decision that it repeats, if there is one. owner is the connection of
// the earlier one, nil if that is pending.
func (ds *decisions) record(d *Decision) (r repeated, owner *Connection) {
	earlier, owner := ds.earlier(d)
	if earlier == nil {
		return firstRequest, nil
	}
	id := earlier.ID
	earlier.join(*d)
	if owner == nil && ds.has(earlier) {
		ds.byID[d.ID] = earlier
		if earlier.ID != id {
			ds.removed = append(ds.removed, id) // the store has it by its id
		}
		ds.changed = append(ds.changed, earlier)
	}
	if earlier.Requests <= earlier.expectedRequests() {
		return expectedRepeat, owner
	}
	if d.ConnectionID == "" || d.ConnectionID == d.Label {
		d.Doubtful = true
		ds.put(d)
	}
	return doubtfulRequest, owner
}

func (ds *decisions) has(d *Decision) bool { _, ok := ds.pending[d]; return ok }

// earlier returns the decision that d repeats and its connection, if it has one. Streams of a QUIC connection repeat
// nothing: they share its label, and the proxy sends one request for each.
func (ds *decisions) earlier(d *Decision) (*Decision, *Connection) {
	if d.Session().Transport() == event.QUIC {
		return nil, nil
	}
	if o := ds.find(d.Label, nil); o != nil && !o.Doubtful {
		return o, nil
	}
	key := clientOf(d.Label)
	for c := range ds.conns.ofClient(key) {
		if c.Decision != nil && d.canRepeat(c.Decision) && c.canHaveAsked(d) {
			return c.Decision, c
		}
	}
	ds.forgetClosed(d.Mono - maxRequestDelay)
	if o := ds.closed[key]; o != nil && d.canRepeat(o) {
		return o, nil
	}
	return nil, nil
}

func (c *Connection) canHaveAsked(d *Decision) bool {
	return !c.Stopped() || d.Mono < c.stopped.Mono+maxRequestDelay
}

// echoesOther reports whether the proxy echoed another decision than d.
func (c *Connection) echoesOther(d *Decision) bool {
	return c.Echo != nil && c.Echo.Decision != "" && !d.hasID(c.Echo.Decision)
}

// connectionFor returns a known connection without a decision that d can be about, nil if there is none.
func (ds *decisions) connectionFor(d *Decision) *Connection {
	for c := range ds.conns.ofClient(clientOf(d.Label)) {
		if c.Decision == nil && c.canHaveAsked(d) && d.isAbout(c.Label) && d.comesBefore(c) && !c.echoesOther(d) {
			return c
		}
	}
	return nil
}

// match returns the decision for a connection: the one that the proxy echoes or, without an echo, a pending one that
// matches its label; nil if there is none. If the echoed decision was joined with another connection by its label, from
// is that connection, which the caller must release.
func (ds *decisions) match(c *Connection) (d *Decision, from *Connection) {
	if c.Label == "" || c.Decision != nil {
		return nil, nil
	}
	d = ds.find(c.Label, c)
	if c.Echo == nil || c.Echo.Decision == "" {
		if d != nil && c.canHaveAsked(d) {
			return d, nil
		}
		return nil, nil
	}
	// A doubtful repeat has an id of d, too, and d is preferred.
	if id := c.Echo.Decision; d == nil || d.Doubtful || !d.hasID(id) {
		if d = ds.byID[id]; d == nil {
			return ds.misjoined(c, id)
		}
	}
	return d, nil
}

// misjoined returns the decision with the id, and its connection, if another connection of c's client was joined with
// it by its label alone.
func (ds *decisions) misjoined(c *Connection, id string) (*Decision, *Connection) {
	for o := range ds.conns.ofClient(clientOf(c.Label)) {
		if o != c && o.Decision != nil && o.Decision.hasID(id) && o.Echo == nil {
			return o.Decision, o
		}
	}
	return nil, nil
}

// put makes a decision pending.
func (ds *decisions) put(d *Decision) {
	key := clientOf(d.Label)
	if same := ds.byClient[key]; len(same) < maxSameClient {
		ds.byClient[key] = append(same, d)
	}
	ds.byID[d.ID] = d
	for _, id := range d.Repeats {
		ds.byID[id] = d
	}
	ds.pending[d] = struct{}{}
	ds.changed = append(ds.changed, d)
	ds.queue.push(d)
}

// take removes a decision from the pending ones.
func (ds *decisions) take(d *Decision) {
	if !ds.has(d) {
		return
	}
	delete(ds.pending, d)
	ds.removed = append(ds.removed, d.ID)
	for _, id := range append(d.Repeats, d.ID) {
		if ds.byID[id] == d {
			delete(ds.byID, id)
		}
	}
	key := clientOf(d.Label)
	rest := slices.DeleteFunc(ds.byClient[key], func(o *Decision) bool { return o == d })
	if len(rest) == 0 {
		delete(ds.byClient, key)
	} else {
		ds.byClient[key] = rest
	}
}

// find returns the oldest pending decision that matches the label and, unless c is nil, can be about c. If all are
// doubtful, it returns the newest, because the others can be from connections whose end was not seen.
func (ds *decisions) find(label string, c *Connection) *Decision {
	var found *Decision
	for _, d := range ds.byClient[clientOf(label)] {
		switch {
		case !d.isAbout(label), c != nil && !d.comesBefore(c):
		case !d.Doubtful:
			return d
		default:
			found = d
		}
	}
	return found
}

// release makes the decision of c pending again.
func (ds *decisions) release(c *Connection) {
	d := c.Decision
	c.Decision = nil
	d.EchoedAt = 0
	ds.put(d)
}

// close keeps a copy of the decision of a connection that finishes, for maxRequestDelay. The original belongs to the
// sinks.
func (ds *decisions) close(d *Decision, at time.Duration) {
	copied := *d
	key := clientOf(d.Label)
	ds.closed[key] = &copied
	ds.closedQueue.push(closedDecision{key, &copied, at})
}

func (ds *decisions) forgetClosed(before time.Duration) {
	for {
		oldest, ok := ds.closedQueue.peek()
		if !ok || oldest.at >= before {
			return
		}
		if ds.closed[oldest.key] == oldest.d {
			delete(ds.closed, oldest.key)
		}
		ds.closedQueue.pop()
	}
}

// expire removes and returns a decision that has been pending since the given time or longer; nil if there is none.
func (ds *decisions) expire(since time.Duration) *Decision {
	for {
		d, ok := ds.queue.peek()
		if !ok || ds.has(d) && d.Mono > since {
			return nil
		}
		ds.queue.pop()
		if ds.has(d) {
			ds.take(d)
			return d
		}
	}
}
