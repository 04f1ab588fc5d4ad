package track

import (
	"iter"

	"smithproxy_exporter/exporter/event"
)

// records holds one proxy's connections: by id, by client, and in the order in which they were first
// heard of. It is the only way to them, so that they can live elsewhere one day.
type records struct {
	byID     map[string]*Connection
	byClient map[client]*Connection // newest; chained by nextOfClient
	first    *Connection            // oldest; chained by next and prev
	last     *Connection
}

// client is what a connection and its access-request have in common: the client's host and port. Of
// a label that cannot be parsed it is the label itself.
type client struct {
	host string
	port uint16
}

func clientOf(label string, s event.Session) client {
	if s.Client.Known() {
		return client{s.Client.Host, s.Client.Port}
	}
	return client{host: label}
}

func newRecords() records {
	return records{byID: map[string]*Connection{}, byClient: map[client]*Connection{}}
}

func (r *records) len() int { return len(r.byID) }

func (r *records) get(id string) (*Connection, bool) {
	c, ok := r.byID[id]
	return c, ok
}

// put adds a connection whose id is not there yet. Its label must be set by relabel, not before.
func (r *records) put(c *Connection) {
	r.byID[c.ID] = c
	c.prev = r.last
	if r.last == nil {
		r.first = c
	} else {
		r.last.next = c
	}
	r.last = c
}

func (r *records) remove(c *Connection) {
	delete(r.byID, c.ID)
	r.unindex(c, clientOf(c.Label, c.Session))
	if c.prev == nil {
		r.first = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next == nil {
		r.last = c.prev
	} else {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}

// relabel lets change set c's label and keeps the index by client true.
func (r *records) relabel(c *Connection, change func()) {
	before, had := clientOf(c.Label, c.Session), c.Label != ""
	change()
	after := clientOf(c.Label, c.Session)
	if had && before == after || c.Label == "" {
		return
	}
	if had {
		r.unindex(c, before)
	}
	c.nextOfClient = r.byClient[after]
	if c.nextOfClient != nil {
		c.nextOfClient.prevOfClient = c
	}
	r.byClient[after] = c
}

func (r *records) unindex(c *Connection, key client) {
	switch {
	case c.Label == "":
		return
	case c.prevOfClient != nil:
		c.prevOfClient.nextOfClient = c.nextOfClient
	case c.nextOfClient != nil:
		r.byClient[key] = c.nextOfClient
	default:
		delete(r.byClient, key)
	}
	if c.nextOfClient != nil {
		c.nextOfClient.prevOfClient = c.prevOfClient
	}
	c.prevOfClient, c.nextOfClient = nil, nil
}

// all yields the connections, oldest first. The one that was yielded last may be removed.
func (r *records) all() iter.Seq[*Connection] {
	return func(yield func(*Connection) bool) {
		for c := r.first; c != nil; {
			next := c.next
			if !yield(c) {
				return
			}
			c = next
		}
	}
}

// maxSameClient bounds the search for what belongs to one client's host and port, of which an honest
// proxy has a few at the most.
const maxSameClient = 64

// ofClient yields the connections of one client, newest first.
func (r *records) ofClient(key client) iter.Seq[*Connection] {
	return func(yield func(*Connection) bool) {
		c := r.byClient[key]
		for i := 0; c != nil && i < maxSameClient && yield(c); i++ {
			c = c.nextOfClient
		}
	}
}
