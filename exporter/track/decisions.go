package track

import (
	"slices"
	"time"

	"smithproxy_exporter/exporter/event"
)

// decisions are the access decisions of one proxy, and join each with its connection:
//
//   - By label. In transparent mode the proxy asks about tcp_10.0.0.2:50000+tcp_10.1.1.1:80 before it
//     sends the start with the same label. Over SOCKS it sends the start, tcp_10.0.0.2:50000+0:0, and asks
//     with the server's side filled in: client host and port are the same, and what both sides know of the
//     server does not differ.
//   - By echo. The answer carried an id, and connection-info echoes it: that joins whatever the labels
//     say. A connection that had another decision by its label gives that back.
//   - Repeats. A second request with the same label is a repeat, and counts once: a 2025 proxy asks twice
//     over SOCKS, and any proxy may ask again when the answer did not arrive.
//     QUIC streams have the label of their QUIC connection, and each asks for itself, before its start: a stream
//     that was known before a request did not ask it.
//   - Doubt. In transparent mode a second request can also be of a client that takes the same port again
//     at once: it counts as a repeat, and stays to be matched. When a connection turns out to have it, by
//     its start or by its echo, it is counted after all (Decided with Corrected).
//   - Overtaking. A request that was received within overtakenBy of the connection's end may have come
//     before it: events reach the exporter by several threads.
//   - Unclaimed. A decision that no connection claims within the grace period has a trace of its own.
//
// A decision is either pending here, and then stored on its own, or a connection has it.
type decisions struct {
	conns    *records
	byClient map[client][]*Decision
	byID     map[string]*Decision // by all ids that they carry
	queue    queue[*Decision]     // by Mono; what was claimed since is passed over
	pending  map[*Decision]struct{}

	// closed are copies of decisions whose connections closed a moment ago, for a repeat that was
	// overtaken by that; closedQueue is in the order of that.
	closed      map[client]*Decision
	closedQueue queue[closedDecision]
	// What has to be written to the store: pending decisions that changed, and the ids of those that are not
	// pending any more.
	changed []*Decision
	removed []string
}

type closedDecision struct {
	key client
	d   *Decision
	at  time.Duration
}

// overtakenBy is by how much an access-request can seem to come after the end of its own connection.
// Beyond it the client's port serves another connection.
const overtakenBy = 2 * time.Second

func newDecisions(conns *records) decisions {
	return decisions{
		conns: conns, byClient: map[client][]*Decision{}, byID: map[string]*Decision{},
		pending: map[*Decision]struct{}{}, closed: map[client]*Decision{},
	}
}

// repeated is what record says of a decision.
type repeated uint8

const (
	firstRequest    repeated = iota // a decision of its own, not pending yet: match it, or put it
	expectedRepeat                  // it was joined with an earlier one, which expected it
	doubtfulRequest                 // it was joined with an earlier one, and is pending as well
)

// record takes a new decision, and joins it with the earlier one that it repeats, if there is one. of is the
// connection that has the earlier one, nil if none does.
func (ds *decisions) record(d *Decision) (r repeated, of *Connection) {
	earlier, of := ds.earlier(d)
	if earlier == nil {
		return firstRequest, nil
	}
	id := earlier.ID
	earlier.join(*d)
	if of == nil && ds.has(earlier) {
		ds.byID[d.ID] = earlier
		if earlier.ID != id {
			ds.removed = append(ds.removed, id) // it is stored by its id
		}
		ds.changed = append(ds.changed, earlier)
	}
	if earlier.Requests <= earlier.expectedRequests() {
		return expectedRepeat, of
	}
	if d.ConnectionID == "" || d.ConnectionID == d.Label {
		d.Doubtful = true
		ds.put(d)
	}
	return doubtfulRequest, of
}

func (ds *decisions) has(d *Decision) bool { _, ok := ds.pending[d]; return ok }

// earlier returns the decision that d only repeats. The streams of a QUIC connection share its label, and each asks
// once.
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
	ds.forgetClosed(d.Mono - overtakenBy)
	if o := ds.closed[key]; o != nil && d.canRepeat(o) {
		return o, nil
	}
	return nil, nil
}

func (c *Connection) canHaveAsked(d *Decision) bool {
	return !c.Stopped() || d.Mono < c.stopped.Mono+overtakenBy
}

// echoesOther reports whether the proxy said that another decision was about the connection.
func (c *Connection) echoesOther(d *Decision) bool {
	return c.Echo != nil && c.Echo.Decision != "" && !d.carries(c.Echo.Decision)
}

// asked returns a connection that is known already, has no decision, and can be the one that d is about.
func (ds *decisions) asked(d *Decision) *Connection {
	for c := range ds.conns.ofClient(clientOf(d.Label)) {
		if c.Decision == nil && c.canHaveAsked(d) && d.isAbout(c.Label) && d.comesBefore(c) && !c.echoesOther(d) {
			return c
		}
	}
	return nil
}

// match returns the pending decision about a connection: the one that its proxy echoes or, while there is no
// echo, one about its label; nil for none. An echo may say that another connection has it by its label: from is
// that one then, and must release it.
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
	// What repeats d has the id too, and comes after it.
	if id := c.Echo.Decision; d == nil || d.Doubtful || !d.carries(id) {
		if d = ds.byID[id]; d == nil {
			return ds.misjoined(c, id)
		}
	}
	return d, nil
}

// misjoined returns the decision with the id when another connection from c's client has it, and no word of the
// proxy for it.
func (ds *decisions) misjoined(c *Connection, id string) (*Decision, *Connection) {
	for o := range ds.conns.ofClient(clientOf(c.Label)) {
		if o != c && o.Decision != nil && o.Decision.carries(id) && o.Echo == nil {
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

// take ends a decision's being pending, if it is.
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

// find returns the oldest pending decision about a connection with the label: c, if it is not nil. One that may only be a
// repeat comes last, and of those the newest, for a connection that nobody saw end may have left the others.
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

// release lets another connection have the decision of c.
func (ds *decisions) release(c *Connection) {
	d := c.Decision
	c.Decision = nil
	d.EchoedAt = 0
	ds.put(d)
}

// close remembers the decision of a connection that closes, for a moment. The copy is not the record that the
// sinks get.
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

// expire returns a decision that has been pending since the given time or longer, and is no longer; nil when
// there is none.
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
