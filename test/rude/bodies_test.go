//go:build rude

package rude

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"strings"
	"sync"
)

const (
	slowBodyBytes    = 4_000_000
	slowBodySent     = 1 << 20
	largeBodyBytes   = 4 << 20 // the default of webhook.max_body_size
	largeBodyCount   = 200
	overlyLargeBytes = 5 << 20
)

func startBody(source, id string) string {
	return fmt.Sprintf(`{"action":"connection-start","details":{"info":{"session":"tcp_10.9.0.1:4000+tcp_192.0.2.9:80"}},"id":%q,"source":%q,"type":"proxy"}`, id, source)
}

func accessBody(source string) string {
	return fmt.Sprintf(`{"action":"access-request","details":{"policy":-1,"session":"tcp_10.9.0.1:4000+tcp_192.0.2.9:80"},`+
		`"id":"tcp_10.9.0.1:4000+tcp_192.0.2.9:80","source":%q,"type":"proxy"}`, source)
}

// contentBody is a connection-content of a given size.
func contentBody(source string, size int) string {
	head := `{"action":"connection-content","details":{"info":{"content":"`
	tail := fmt.Sprintf(`","session":"tcp_10.9.0.1:4000+tcp_192.0.2.9:80","side":"L"}},"id":"Proxy-1A-OID-1","source":%q,"type":"proxy"}`, source)
	return head + strings.Repeat("A", size-len(head)-len(tail)) + tail
}

// slowBodies knows the secret, sends a part of a large body, and then drips.
func slowBodies(ctx context.Context, c *client) {
	whole := request("POST /webhook/"+secret, contentBody("rude-slow", slowBodyBytes))
	c.drip(ctx, slowCount, whole[:slowBodySent])
}

// largeBodies uploads as many bodies of the largest size at once as a crowd of proxies might. None may be lost.
func largeBodies(ctx context.Context, c *client) {
	p := event("upload", "connection-content", contentBody("rude-large", largeBodyBytes), accepted)
	for more := true; more; more = ctx.Err() == nil {
		var uploads sync.WaitGroup
		for range largeBodyCount {
			uploads.Go(func() { c.try(ctx, p) })
		}
		uploads.Wait()
	}
}

// encodedBodies sends bodies in every encoding that HTTP has, honest ones and lies.
func encodedBodies(ctx context.Context, c *client) {
	c.tryAll(ctx, encodings(), 50)
}

func encodings() []probe {
	const start, access = "connection-start", "access-request"
	body := startBody("rude-encoded", "Proxy-1A-OID-1")
	chunked := func(body string) string { return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body) }
	bytewise := func(extension string) string {
		var b strings.Builder
		for i := range len(body) {
			fmt.Fprintf(&b, "1%s\r\n%c\r\n", extension, body[i])
		}
		return b.String() + "0\r\n\r\n"
	}
	post := func(headers, body string) []byte {
		return []byte("POST /webhook/" + secret + " HTTP/1.1\r\nHost: exporter\r\n" + headers + "\r\n\r\n" + body)
	}
	const te = "Transfer-Encoding: chunked"
	return []probe{
		{"a chunked event", start, post(te, chunked(body)), accepted},
		{"an event in chunks of a byte", start, post(te, bytewise("")), accepted},
		{"an event with a trailer", start, post(te+"\r\nTrailer: X", strings.TrimSuffix(chunked(body), "\r\n")+"X: y\r\n\r\n"), accepted},
		{"a chunked access-request", access, post(te, chunked(accessBody("rude-encoded"))), verdict},
		{"a chunked access-request over the limit", access,
			post(te, chunked(accessBody("rude-encoded")+strings.Repeat(" ", overlyLargeBytes))), verdict},
		{"an access-request over the limit", access,
			request("POST /webhook/"+secret, accessBody("rude-encoded")+strings.Repeat(" ", overlyLargeBytes)), verdict},
		{"an access-request over the limit that expects 100", access,
			post(fmt.Sprintf("Expect: 100-continue\r\nContent-Length: %d", overlyLargeBytes), ""), refused},
		{"a chunked body over the limit", start, post(te, chunked(contentBody("rude-encoded", overlyLargeBytes))), refused},
		{"a chunk with extensions", start, post(te, bytewise(";x="+strings.Repeat("y", 4000))), dropped},
		{"a chunk size that overflows", "", post(te, "ffffffffffffffffff\r\n"+body+"\r\n0\r\n\r\n"), dropped},
		{"a negative chunk size", "", post(te, "-1\r\n"+body+"\r\n0\r\n\r\n"), dropped},
		{"two encodings", "", post("Transfer-Encoding: gzip, chunked", chunked(body)), dropped},
		{"an unknown encoding", "", post("Transfer-Encoding: identity", body), dropped},
		{"two lengths", "", post("Content-Length: 5\r\nContent-Length: 6", body), dropped},
		{"a negative length", "", post("Content-Length: -1", body), dropped},
		{"a length with an exponent", "", post("Content-Length: 1e3", body), dropped},
		// The length is ignored, as RFC 9112 allows, and the connection must not be used for what follows.
		{"an encoding and a length", start, post(te+"\r\nContent-Length: 5", chunked(body)), answered},
		{"gzip", "", request("POST /webhook/"+secret, compressed(body), "Content-Encoding: gzip"), refused},
		{"gzip of 128 MiB", "", request("POST /webhook/"+secret, bomb(), "Content-Encoding: gzip"), refused},
		{"gzip in name only", start, request("POST /webhook/"+secret, body, "Content-Encoding: gzip"), answered},
		{"an unknown expectation", "", request("POST /webhook/"+secret, body, "Expect: a miracle"), refused},
		{"headers of 1 MiB", "", request("POST /webhook/"+secret, body, "X-Large: "+strings.Repeat("x", 1<<20)), dropped},
		{"10,000 headers", "", request("POST /webhook/"+secret, body, strings.TrimSuffix(strings.Repeat("X: y\r\n", 10_000), "\r\n")), dropped},
	}
}

func compressed(body string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(body)) // A bytes.Buffer takes everything.
	_ = w.Close()
	return b.String()
}

// bomb is 128 MiB, compressed to 130 KiB.
var bomb = sync.OnceValue(func() string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	for range 128 {
		_, _ = w.Write(make([]byte, 1<<20)) // A bytes.Buffer takes everything.
	}
	_ = w.Close()
	return b.String()
})

// tryAll tries each probe once, and then all over and over, rate a second, until ctx is done.
func (c *client) tryAll(ctx context.Context, probes []probe, rate int) {
	for _, p := range probes {
		c.try(ctx, p)
	}
	if ctx.Err() == nil {
		c.every(ctx, rate, func(i int) { c.try(ctx, probes[i%len(probes)]) })
	}
}
