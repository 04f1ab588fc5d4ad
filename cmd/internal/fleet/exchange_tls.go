package fleet

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// doTLS uses HTTP over TLS, HTTP/2 if the receiver supports it.
func (x *exchanger) doTLS(ctx context.Context, r request) (answer, error) {
	conn, err := x.transport.NewClientConn(ctx, "https", x.address)
	if err != nil {
		return answer{}, fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	var body io.Reader = bytes.NewReader(r.body)
	if r.abort {
		body = io.MultiReader(bytes.NewReader(r.body[:len(r.body)/2]), failing{})
	}
	u := x.url.Scheme + "://" + x.url.Host + r.path
	req, err := http.NewRequestWithContext(ctx, r.method, u, body)
	if err != nil {
		return answer{}, fmt.Errorf("making the request: %w", err)
	}
	req.ContentLength = int64(len(r.body))
	req.Header.Set("Accept", "*/*")
	req.Header.Set("Content-Type", "application/json")
	req.Header["User-Agent"] = nil // net/http would set its own
	a := answer{sent: time.Now()}
	resp, err := conn.RoundTrip(req)
	if err != nil {
		return answer{}, fmt.Errorf("exchanging: %w", err)
	}
	defer resp.Body.Close()
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, answerMax)); err != nil {
		return answer{}, fmt.Errorf("reading the answer's body: %w", err)
	}
	if r.abort {
		return answer{}, errAborted
	}
	a.status, a.answered = resp.StatusCode, time.Now()
	return a, nil
}

// failing is the half of a body that is not sent.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errAborted }
