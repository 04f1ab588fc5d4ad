package track

import (
	"iter"
	"strconv"
	"strings"

	"github.com/tidwall/btree"

	"smithproxy_exporter/exporter/event"
)

// records are the open and closing connections of one proxy: by id, by client, and in the order in which they became
// known.
type records struct {
	latest map[string]*Connection // of each id
	// older are earlier connections of reused ids that are still closing; there are rarely any.
	older map[string][]*Connection
	// past are the tombstones of reused ids, as long as one of their connections is here.
	past     map[string]*Past
	byClient map[client]*Connection // the newest; linked by nextOfClient
	// bySerial can be walked in steps, and may change between them.
	bySerial btree.Map[uint64, *Connection]
}

// client is what a connection and its access-request have in common: the client's host and port. For a label that
// cannot be parsed, host is the label itself.
type client struct {
	host string
	port uint16
}

func clientOf(label string) client {
	if c := event.ParseSession(label).Client; c.Known() {
		return client{c.Host, c.Port}
	}
	return client{host: label}
}

// otherClient reports whether two labels have different clients. With the same id, that means two connections.
func otherClient(a, b string) bool {
	x, y := event.ParseSession(a).Client, event.ParseSession(b).Client
	return x.Known() && y.Known() && (x.Host != y.Host || x.Port != y.Port)
}

func newRecords() records {
	return records{latest: map[string]*Connection{}, older: map[string][]*Connection{}, past: map[string]*Past{},
		byClient: map[client]*Connection{}}
}

func (r *records) len() int { return r.bySerial.Len() }

// find returns the connection with the id whose client is the label's; if the label has no client, the latest one. ok
// is false if there is none.
func (r *records) find(id, label string) (c *Connection, ok bool) {
	c, ok = r.latest[id]
	if !ok || !otherClient(c.Label, label) {
		return c, ok
	}
	for _, o := range r.older[id] {
		if !otherClient(o.Label, label) {
			return o, true
		}
	}
	return nil, false
}

// add adds a connection whose label is not set yet; relabel sets it.
func (r *records) add(c *Connection) {
	if before, ok := r.latest[c.ID]; ok {
		if before.N > c.N { // while records are restored
			r.older[c.ID] = append(r.older[c.ID], c)
			r.bySerial.Set(c.serial, c)
			return
		}
		r.older[c.ID] = append(r.older[c.ID], before)
	}
	r.latest[c.ID] = c
	r.bySerial.Set(c.serial, c)
}

func (r *records) remove(c *Connection) {
	r.bySerial.Delete(c.serial)
	r.unindex(c, clientOf(c.Label))
	if r.latest[c.ID] == c {
		delete(r.latest, c.ID)
	}
	older, ok := r.older[c.ID]
	if !ok {
		if len(r.past) > 0 {
			delete(r.past, c.ID)
		}
		return
	}
	rest := older[:0]
	for _, o := range older {
		if o != c {
			rest = append(rest, o)
		}
	}
	if _, ok := r.latest[c.ID]; !ok && len(rest) > 0 {
		last := rest[len(rest)-1]
		r.latest[c.ID], rest = last, rest[:len(rest)-1]
	}
	if r.older[c.ID] = rest; len(rest) == 0 {
		delete(r.older, c.ID)
	}
}

// relabel calls change, which may set the label of c, and updates the index by client.
func (r *records) relabel(c *Connection, change func()) {
	before := c.Label
	change()
	if c.Label == before {
		return
	}
	key := clientOf(c.Label)
	if before != "" {
		if clientOf(before) == key {
			return
		}
		r.unindexAs(c, clientOf(before))
	}
	c.nextOfClient = r.byClient[key]
	if c.nextOfClient != nil {
		c.nextOfClient.prevOfClient = c
	}
	r.byClient[key] = c
}

func (r *records) unindex(c *Connection, key client) {
	if c.Label != "" {
		r.unindexAs(c, key)
	}
}

func (r *records) unindexAs(c *Connection, key client) {
	switch {
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

// after yields the connections whose serial is greater than the given one, oldest first. The records must not change
// meanwhile.
func (r *records) after(serial uint64) iter.Seq[*Connection] {
	return func(yield func(*Connection) bool) {
		r.bySerial.Ascend(serial+1, func(_ uint64, c *Connection) bool { return yield(c) })
	}
}

// oldest returns the connection that became known first.
func (r *records) oldest() (*Connection, bool) {
	_, c, ok := r.bySerial.Min()
	return c, ok
}

// maxSameClient bounds searches among the connections and decisions of one client's host and port. A real proxy has a
// few of them.
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

// byName returns the connection with the Name.
func (r *records) byName(name string) (*Connection, bool) {
	id := name
	if i := strings.LastIndexByte(name, '#'); i >= 0 {
		id = name[:i]
	}
	for _, id := range []string{name, id} {
		if c, ok := r.latest[id]; ok && c.Name() == name {
			return c, true
		}
		for _, c := range r.older[id] {
			if c.Name() == name {
				return c, true
			}
		}
	}
	return nil, false
}

// Name returns the name of the connection, which is unique within a proxy: the id, or "<id>#<n>" for the n-th connection
// of an id, n ≥ 2. Trace ids are computed from it.
func (c *Connection) Name() string { return NameOf(c.ID, c.N) }

// NameOf returns the name of the n-th connection of an id.
func NameOf(id string, n uint32) string {
	if n < 2 {
		return id
	}
	return id + "#" + strconv.FormatUint(uint64(n), 10)
}
