//go:build rude

package rude

import (
	"bytes"
	"context"
	"net"
)

const (
	readerCount = 200
	// readerRequests is how many requests a client sends at once; the first answers fill the buffers of the kernel.
	readerRequests = 100
)

// slowReaders asks for the pages of the web listener, and does not read the answers.
func slowReaders(ctx context.Context, c *client) {
	asked := bytes.Repeat([]byte("GET /metrics HTTP/1.1\r\nHost: exporter\r\n\r\nGET /api/v1/connections HTTP/1.1\r\nHost: exporter\r\n\r\n"), readerRequests/2)
	c.loop(ctx, readerCount, insistence, func(int) error {
		conn, err := c.dial(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		// Where it cannot be set, the answers take a little longer to fill it.
		_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		if _, err := conn.Write(asked); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
}
