package webhook

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// unanswered are the connections of a server from which a request may still come, or whose request is not answered yet.
// A proxy opens a connection for each event, and current ones send no event twice.
//
// http.Server.Shutdown alone would lose events: it makes the server close a connection unanswered if it reads the header
// of the request only after Shutdown began. The zero value is usable. Methods may be called from any goroutine.
type unanswered struct {
	mu    sync.Mutex
	conns map[net.Conn]struct{}
	none  chan struct{} // closed when there are none; nil if nobody waits
}

// note is for http.Server.ConnState.
func (u *unanswered) note(conn net.Conn, state http.ConnState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch state {
	case http.StateNew, http.StateActive:
		if u.conns == nil {
			u.conns = map[net.Conn]struct{}{}
		}
		u.conns[conn] = struct{}{}
	default:
		delete(u.conns, conn)
	}
	if len(u.conns) == 0 && u.none != nil {
		close(u.none)
		u.none = nil
	}
}

// wait waits until all are answered or closed, or until ctx is done, and returns the error of ctx then.
func (u *unanswered) wait(ctx context.Context) error {
	u.mu.Lock()
	if len(u.conns) == 0 {
		u.mu.Unlock()
		return nil
	}
	if u.none == nil {
		u.none = make(chan struct{})
	}
	none := u.none
	u.mu.Unlock()
	select {
	case <-none:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
