package web

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
)

// connections bounds the open connections of the web listener. At the bound, a new connection takes the place of the one
// that has waited longest for a whole request header, so that silent clients do not keep Prometheus out. It is safe for
// concurrent use.
type connections struct {
	mu    sync.Mutex
	known map[net.Conn]*peer
	// waiting are the connections without a request that is being answered, the longest waiting first.
	waiting list.List // of *peer
}

// peer is an open connection. Its fields belong to the lock of connections.
type peer struct {
	net.Conn
	requests int           // that are being answered
	place    *list.Element // in waiting, nil while requests are being answered
}

func newConnections() *connections { return &connections{known: map[net.Conn]*peer{}} }

// peerKey is the key of a *peer in the context of its requests.
type peerKey struct{}

// context is for http.Server.ConnContext, which is called first for a connection.
func (c *connections) context(ctx context.Context, conn net.Conn) context.Context {
	added, longest := c.add(conn)
	if longest != nil {
		_ = longest.Close() // the client sees it
	}
	return context.WithValue(ctx, peerKey{}, added)
}

// changed is for http.Server.ConnState.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if state == http.StateClosed || state == http.StateHijacked {
		c.remove(conn)
	}
}

// add adds a connection. If there are too many, it returns the one to be closed, too.
func (c *connections) add(conn net.Conn) (added *peer, longest net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	added = &peer{Conn: conn}
	added.place = c.waiting.PushBack(added)
	c.known[conn] = added
	if len(c.known) <= maxConnections {
		return added, nil
	}
	// There is one at least: the new one.
	first := c.waiting.Front().Value.(*peer)
	c.forget(first)
	return added, first.Conn
}

func (c *connections) remove(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.known[conn]; ok {
		c.forget(known)
	}
}

// forget takes a connection off the lists. The lock is held.
func (c *connections) forget(known *peer) {
	delete(c.known, known.Conn)
	if known.place != nil {
		c.waiting.Remove(known.place)
		known.place = nil
	}
}

// answering returns a handler during which a connection does not wait.
func (c *connections) answering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if known, ok := r.Context().Value(peerKey{}).(*peer); ok && known != nil {
			c.count(known, 1)
			defer c.count(known, -1)
		}
		next.ServeHTTP(w, r)
	})
}

func (c *connections) count(known *peer, requests int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known.requests += requests
	switch _, open := c.known[known.Conn]; {
	case !open:
	case known.requests == 0:
		known.place = c.waiting.PushBack(known)
	case known.place != nil:
		c.waiting.Remove(known.place)
		known.place = nil
	}
}
