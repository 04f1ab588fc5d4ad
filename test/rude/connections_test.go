//go:build rude

package rude

import (
	"context"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

const (
	idleCount   = 10_000
	idleRate    = 5000 // a second
	slowCount   = 500
	silentRate  = 2000 // a second
	silentTime  = 5 * time.Second
	halfRate    = 500
	garbageRate = 500
	// insistence is when a rude client comes back after it was disconnected.
	insistence = 10 * time.Second
)

func idleConnections(ctx context.Context, c *client) {
	began := time.Now()
	c.loop(ctx, idleCount, insistence, func(i int) error {
		select {
		case <-time.After(time.Until(began.Add(time.Duration(i) * time.Second / idleRate))):
		case <-ctx.Done():
			return nil
		}
		conn, err := c.dial(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		return c.awaitClose(ctx, conn)
	})
}

// awaitClose reads until the server closes the connection, and returns nil if it was ctx.
func (c *client) awaitClose(ctx context.Context, conn net.Conn) error {
	buffer := make([]byte, 64)
	for {
		if _, err := conn.Read(buffer); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			c.count("closed by the server")
			return err
		}
	}
}

// drip sends a beginning, and then a byte at a time.
func (c *client) drip(ctx context.Context, n int, beginning []byte) {
	c.loop(ctx, n, insistence, func(int) error {
		conn, err := c.connect(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		for next := beginning; ; next = []byte("x") {
			if _, err := conn.Write(next); err != nil {
				if ctx.Err() == nil {
					c.count("closed by the server")
				}
				return err
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
}

func slowHeaders(ctx context.Context, c *client) {
	c.drip(ctx, slowCount, []byte("POST /webhook/"+secret+" HTTP/1.1\r\nHost: exporter\r\nX-Slow: "))
}

func silentConnections(ctx context.Context, c *client) {
	c.every(ctx, silentRate, func(int) {
		conn, err := c.dial(ctx)
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(silentTime)) // It fails if ctx is done.
		_, _ = conn.Read(make([]byte, 1))
	})
}

// halves are requests that end early.
func halves() [][]byte {
	whole := request("POST /webhook/"+secret, startBody("rude-half", "Proxy-1A-OID-1"))
	access := request("POST /webhook/"+secret, accessBody("rude-half"))
	return [][]byte{
		whole[:1], whole[:10], whole[:40], whole[:len(whole)-20], whole[:len(whole)-1], access[:len(access)-1],
		[]byte("POST /webhook/" + secret + " HTTP/1.1\r\nHost: exporter\r\n"),
	}
}

// halfRequests sends requests that end early, half of them with a reset.
func halfRequests(ctx context.Context, c *client) {
	parts := halves()
	c.every(ctx, halfRate, func(i int) {
		conn, err := c.dial(ctx)
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Write(parts[i%len(parts)]) // It fails if ctx is done.
		if i/len(parts)%2 == 0 {
			_ = conn.(*net.TCPConn).CloseWrite()
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			_, _ = conn.Read(make([]byte, 512))
		}
	})
}

func judgeHalfRequests(t *testing.T, o outcome) {
	if n := o.metrics.value("smithproxy_events_total", "source=rude-half"); n != 0 {
		t.Errorf("%v half events were counted", n)
	}
}

// garbage sends random bytes, and waits for a moment.
func garbage(ctx context.Context, c *client) {
	c.every(ctx, garbageRate, func(i int) {
		r := rand.New(rand.NewPCG(3, uint64(i)))
		bytes := make([]byte, 1+r.IntN(16<<10))
		for j := range bytes {
			bytes[j] = byte(r.Uint32())
		}
		switch i % 4 {
		case 1: // lines, to get further into HTTP
			for j := 60; j < len(bytes); j += 60 {
				bytes[j-1], bytes[j] = '\r', '\n'
			}
		case 2: // the beginning of a TLS handshake
			copy(bytes, []byte{22, 3, 1, byte(r.UintN(64)), byte(r.Uint32()), 1})
		}
		c.poke(ctx, bytes)
	})
}

// poke sends bytes and reads what comes within a second.
func (c *client) poke(ctx context.Context, bytes []byte) {
	conn, err := c.dial(ctx)
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = conn.Write(bytes) // It fails if ctx is done.
	_ = conn.SetReadDeadline(time.Now().Add(time.Second))
	_, _ = conn.Read(make([]byte, 512))
}
