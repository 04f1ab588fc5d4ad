package webhook

import "context"

// setIdle notes whether the connection is only kept for a further request.
func (c *conn) setIdle(idle bool) {
	c.idle.Store(idle)
	if idle {
		c.connections.signal()
	}
}

// signal tells drain that a connection is closed or idle.
func (c *Connections) signal() {
	select {
	case c.answered <- struct{}{}:
	default:
	}
}

// drain waits until every connection is closed or idle, or until ctx is done, and returns the error of ctx then. A proxy
// opens a connection for each event, and current ones send no event twice. http.Server.Shutdown alone would lose events:
// it makes the server close a connection unanswered if it reads the header of the request only after Shutdown began.
func (c *Connections) drain(ctx context.Context) error {
	for c.unanswered() {
		select {
		case <-c.answered:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// unanswered reports whether there is a connection from which a request may come, or whose request is not answered.
func (c *Connections) unanswered() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for e := c.open.Front(); e != nil; e = e.Next() {
		if !e.Value.(*conn).idle.Load() {
			return true
		}
	}
	return false
}
