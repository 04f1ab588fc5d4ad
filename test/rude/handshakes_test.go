//go:build rude

package rude

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"time"
)

const (
	mistakeRate     = 300 // a second
	handshakeCount  = 500
	serverNameBytes = 4 << 20
	serverNameCount = 20
)

// handshakes begins TLS handshakes, as many as the server computes, and ends them after its first answer. The client
// computes nothing: it sends the same ClientHello again.
func handshakes(ctx context.Context, c *client) {
	hello, err := clientHello()
	if err != nil {
		c.failf("%v", err)
		return
	}
	c.loop(ctx, handshakeCount, 100*time.Millisecond, func(int) error {
		conn, err := c.dial(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(proxyTimeout)) // It fails if ctx is done.
		if _, err := conn.Write(hello); err != nil {
			return err
		}
		if _, err := conn.Read(make([]byte, 64)); err != nil {
			c.count("not answered")
			return err
		}
		c.count("answered")
		return nil
	})
}

// clientHello returns the first message of a TLS handshake.
func clientHello() ([]byte, error) {
	near, far := net.Pipe()
	defer far.Close()
	go func() {
		defer near.Close()
		_ = tls.Client(near, insecure()).Handshake() // It fails when far is closed.
	}()
	hello := make([]byte, 16<<10)
	n, err := far.Read(hello)
	return hello[:n], err
}

// plainToTLS sends HTTP to the TLS listener.
func plainToTLS(ctx context.Context, c *client) {
	asked := request("POST /webhook/"+secret, startBody("rude-plain", "Proxy-1A-OID-1"))
	c.every(ctx, mistakeRate, func(int) { c.poke(ctx, asked) })
}

// tlsToPlain begins a TLS handshake at the plain listener.
func tlsToPlain(ctx context.Context, c *client) {
	c.every(ctx, mistakeRate, func(int) {
		conn, err := c.dial(ctx)
		if err != nil {
			return
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Second)) // It fails if ctx is done.
		if tls.Client(conn, insecure()).HandshakeContext(ctx) == nil {
			c.failf("the plain listener speaks TLS")
		}
	})
}

// largeServerName sends a ClientHello with a server name of 4 MiB, in as many records as that takes. The length of a
// name has two bytes, so what is inside is a lie; a server that reads all of it holds 4 MiB a connection.
func largeServerName(ctx context.Context, c *client) {
	const record = 16 << 10
	length := serverNameBytes
	hello := append([]byte{1, byte(length >> 16), byte(length >> 8), byte(length), 3, 3}, make([]byte, length-2)...)
	var stream []byte
	for rest := hello; len(rest) > 0; {
		part := rest[:min(record, len(rest))]
		rest = rest[len(part):]
		stream = append(append(stream, 22, 3, 1, byte(len(part)>>8), byte(len(part))), part...)
	}
	c.loop(ctx, serverNameCount, 100*time.Millisecond, func(int) error {
		conn, err := c.dial(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		n, err := conn.Write(stream)
		if err == nil {
			// The kernel may have taken all of it.
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			_, err = conn.Read(make([]byte, 64))
		}
		if n == len(stream) {
			c.count("sent in full")
		}
		if err == nil {
			err = io.ErrUnexpectedEOF // an alert: pause before the next
		}
		return err
	})
}
