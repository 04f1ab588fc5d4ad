package webhook

import (
	"container/list"
	"maps"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// The reasons for which a connection is refused or closed.
const (
	connectionsLimit   = "limit"         // webhook.limits.connections, and the reserve for access-requests
	connectionsAddress = "address_limit" // webhook.limits.connections_per_address
	connectionsEvicted = "evicted"       // closed for a new one: it had waited longest for a request
	connectionsAllow   = "not_allowed"   // webhook.allow
	connectionsTurn    = "handshakes"    // its TLS handshake waited too long for others
)

// ConnectionRefusals are all reasons that Metrics.ConnectionRefused is called with.
var ConnectionRefusals = []string{connectionsLimit, connectionsAddress, connectionsEvicted, connectionsAllow, connectionsTurn}

// Connections bounds the open connections of a listener. At a bound it closes the connection that has waited longest
// for a whole request, so that silent clients do not keep others out. If none waits, because all are being answered, it
// lets some more in for access-requests. It is safe for concurrent use.
type Connections struct {
	door       *Door
	metrics    Metrics
	warnings   *warnings
	most, each int
	handshakes *handshakeLimit
	// answered has a value after a connection was closed or became idle, for drain.
	answered chan struct{}

	mu      sync.Mutex
	open    list.List // of *conn
	clients map[netip.Addr]*client
}

// client is an address with connections, or one that had some.
type client struct {
	open list.List // of *conn
	// known is set once a request from the address had a valid secret.
	known atomic.Bool
}

// newConnections returns Connections without any.
func newConnections(door *Door, l Limits, m Metrics, w *warnings) *Connections {
	return &Connections{
		door: door, metrics: m, warnings: w, most: l.Connections, each: l.ConnectionsPerAddress,
		handshakes: newHandshakeLimit(l), clients: map[netip.Addr]*client{}, answered: make(chan struct{}, 1),
	}
}

// Open returns the number of open connections.
func (c *Connections) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open.Len()
}

// listener accepts connections within the bounds.
type listener struct {
	net.Listener
	connections *Connections
}

// Accept waits for a connection that may be served.
func (l *listener) Accept() (net.Conn, error) {
	for {
		accepted, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c, refused := l.connections.add(accepted)
		if refused == "" {
			return c, nil
		}
		l.connections.count(refused, accepted)
		// The client sees that it is closed.
		_ = accepted.Close()
	}
}

func (c *Connections) count(reason string, conn net.Conn) {
	c.metrics.ConnectionRefused(reason)
	c.warnings.warn(time.Now(), "connection_"+reason, "Refused a connection", "reason", reason, "peer", conn.RemoteAddr())
}

// conn is an open connection.
type conn struct {
	net.Conn
	connections *Connections
	addr        netip.Addr // invalid for a Unix socket

	// reserved is set if it was let in over a bound: only access-requests are taken then.
	reserved bool
	// admitted is who was let in when the address was checked last.
	admitted atomic.Pointer[admission]
	// heard is set once the client has sent a byte.
	heard atomic.Bool
	// idle is set while it is kept for a further request.
	idle atomic.Bool
	// busy is how many whole requests are being answered, and answered how many were.
	busy     atomic.Int32
	answered atomic.Uint32
	// turn is that of the TLS handshake; nil before and after it.
	turn atomic.Pointer[turn]

	// The rest belongs to the lock of connections.

	all, own *list.Element // nil once it is closed
	client   *client
	// seen is answered when the connection was last put to the end of the lists.
	seen    uint32
	evicted bool
}

// Read notes that the client has sent something. A handshake does not keep its turn while it waits for the client.
func (c *conn) Read(p []byte) (int, error) {
	t := c.turn.Load()
	if t != nil {
		t.end()
	}
	n, err := c.Conn.Read(p)
	if n > 0 && !c.heard.Load() {
		c.heard.Store(true)
	}
	if t != nil && err == nil {
		err = c.connections.handshakes.begin(c)
	}
	return n, err
}

// Close closes the connection, which no longer counts.
func (c *conn) Close() error {
	c.connections.mu.Lock()
	c.connections.remove(c)
	c.connections.mu.Unlock()
	c.handshakeDone()
	return c.Conn.Close()
}

// CloseWrite closes the sending side, which net/http does before it closes a connection that has unread bytes.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// add lets a connection in, or says why not. It closes another one for it if it must.
func (c *Connections) add(accepted net.Conn) (added *conn, refused string) {
	admission := c.door.admission.Load()
	added = &conn{Conn: accepted, connections: c, addr: addressOf(accepted.RemoteAddr())}
	if !admission.admits(added.addr) {
		return nil, connectionsAllow
	}
	added.admitted.Store(admission)
	c.mu.Lock()
	added.client = c.clientOf(added.addr)
	var victim *conn
	own, all := added.client.open.Len(), c.open.Len()
	switch {
	case added.addr.IsValid() && own >= c.each:
		if victim = c.longestWaiting(&added.client.open); victim == nil {
			added.reserved, refused = true, connectionsAddress
		}
	case all >= c.most:
		if victim = c.longestWaiting(&c.open); victim == nil {
			added.reserved, refused = true, connectionsLimit
		}
	}
	if refused != "" && own < c.each+reserve(c.each) && all < c.most+reserve(c.most) {
		refused = ""
	}
	if refused != "" {
		c.mu.Unlock()
		return nil, refused
	}
	if victim != nil {
		victim.evicted = true
		c.remove(victim)
	}
	added.all, added.own = c.open.PushBack(added), added.client.open.PushBack(added)
	c.mu.Unlock()
	if victim != nil {
		c.count(connectionsEvicted, victim)
		_ = victim.Conn.Close() // its reader sees it
	}
	return added, ""
}

// reserve is how many connections over a bound are taken for access-requests.
func reserve(bound int) int { return bound/8 + 1 }

// remove takes a connection off the lists. The lock is held.
func (c *Connections) remove(closed *conn) {
	if closed.all == nil {
		return
	}
	c.open.Remove(closed.all)
	closed.client.open.Remove(closed.own)
	closed.all, closed.own = nil, nil
	if t := closed.turn.Load(); t != nil {
		t.stopWaiting()
	}
	c.signal()
}

// maxPassed bounds how many connections are passed over at once for one that can be closed.
const maxPassed = 64

// longestWaiting returns the first connection of a list that is not being answered, and has not been answered since
// it was passed over; nil if there is none among the first ones. Those that it passes over go to the end, and their turn
// comes again.
// The lock is held.
func (c *Connections) longestWaiting(of *list.List) *conn {
	for range min(maxPassed, 2*of.Len()) {
		first := of.Front().Value.(*conn)
		answered := first.answered.Load()
		if first.busy.Load() == 0 && answered == first.seen {
			return first
		}
		first.seen = answered
		c.open.MoveToBack(first.all)
		first.client.open.MoveToBack(first.own)
	}
	return nil
}

// clientOf returns the client of an address. The lock is held.
func (c *Connections) clientOf(addr netip.Addr) *client {
	addr = network(addr)
	known, ok := c.clients[addr]
	if ok {
		return known
	}
	// Those without connections are kept for the next one, but not for ever.
	if len(c.clients) >= 2*c.most {
		c.forgetClients(func(each *client) bool { return !each.known.Load() })
		if len(c.clients) >= 2*c.most {
			c.forgetClients(func(*client) bool { return true })
		}
	}
	known = new(client)
	c.clients[addr] = known
	return known
}

// forgetClients removes those clients without connections for which may returns true. The lock is held.
func (c *Connections) forgetClients(may func(*client) bool) {
	maps.DeleteFunc(c.clients, func(_ netip.Addr, each *client) bool { return each.open.Len() == 0 && may(each) })
}

// clientBits is the length of the prefix by which IPv6 clients are told apart: a host has a /64 for itself.
const clientBits = 64

// network returns what a client is counted by.
func network(addr netip.Addr) netip.Addr {
	if !addr.Is6() {
		return addr
	}
	p, err := addr.Prefix(clientBits)
	if err != nil {
		return addr
	}
	return p.Addr()
}

// addressOf returns the IP address of a peer, invalid if it has none.
func addressOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}

// admitted reports whether the client may still connect: the allow list can have changed since it did.
func (c *conn) allowed(a *admission) bool {
	if c.admitted.Load() == a {
		return true
	}
	if !a.admits(c.addr) {
		return false
	}
	c.admitted.Store(a)
	return true
}

// isClosed reports whether the connection was closed or evicted.
func (c *conn) isClosed() bool {
	c.connections.mu.Lock()
	defer c.connections.mu.Unlock()
	return c.all == nil
}

func (c *conn) wasEvicted() bool {
	c.connections.mu.Lock()
	defer c.connections.mu.Unlock()
	return c.evicted
}
