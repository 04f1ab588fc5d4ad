package webhook

import (
	"crypto/tls"
	"net"
	"runtime"
	"time"
)

// handshakeLimit bounds the CPU time of TLS handshakes. Clients that have shown a valid secret are a proxy or something in
// front of one. They do not wait for others, which get half of the processors.
type handshakeLimit struct {
	known, others *turns
	timeout       time.Duration // for a turn
}

func newHandshakeLimit(l Limits) *handshakeLimit {
	processors := runtime.GOMAXPROCS(0)
	return &handshakeLimit{known: newTurns(processors), others: newTurns(max(1, processors/2)), timeout: l.HeaderTimeout}
}

// limit returns a configuration of a listener with which a handshake has its turn from the receipt of the ClientHello
// until what is left costs little, except while it waits for the client.
func (h *handshakeLimit) limit(base *tls.Config) *tls.Config {
	limited := base.Clone()
	limited.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		inForce, err := base.GetConfigForClient(hello)
		if err != nil {
			return nil, err
		}
		c, ok := hello.Conn.(*conn)
		if !ok {
			return inForce, nil
		}
		if err := h.begin(c); err != nil {
			return nil, err
		}
		inForce = inForce.Clone()
		inForce.VerifyConnection = func(tls.ConnectionState) error {
			c.handshakeDone()
			return nil
		}
		return inForce, nil
	}
	return limited
}

// begin waits for the turn of a connection's handshake.
func (h *handshakeLimit) begin(c *conn) error {
	of := h.others
	if c.client.known.Load() {
		of = h.known
	}
	t := of.take(c.client)
	c.turn.Store(t)
	if c.isClosed() { // before Close could see the turn
		t.end()
		return net.ErrClosed
	}
	return t.wait(h.timeout)
}

// handshakeDone ends the turn of the connection's handshake. No other one follows.
func (c *conn) handshakeDone() {
	if t := c.turn.Swap(nil); t != nil {
		t.end()
	}
}
