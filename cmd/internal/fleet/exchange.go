package fleet

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	// expectAbove is the size of a body, in bytes, above which libcurl sends Expect: 100-continue.
	expectAbove = 1 << 20
	// expectWait is how long libcurl waits for 100 Continue.
	expectWait = time.Second
	// answerMax bounds how much of an answer is read, in bytes.
	answerMax = 1 << 20
)

// request is one HTTP request to the webhook.
type request struct {
	method string
	path   string // with the query
	body   []byte
	// abort breaks the connection in the middle of the body.
	abort bool
}

// answer is the response to a request.
type answer struct {
	status int
	body   []byte
	// sent is just before the first byte of the request was sent, answered is when the answer had been read.
	sent, answered time.Time
}

// ok reports whether the receiver acknowledged the event.
func (a answer) ok() bool { return a.status >= 200 && a.status <= 299 }

// exchanger sends requests like libcurl in smithproxy: each over a connection of its own, which the client closes.
type exchanger struct {
	url       *url.URL
	address   string
	dialer    net.Dialer
	transport *http.Transport // of https
	expects   bool            // uses Expect: 100-continue for a large body
}

func newExchanger(cfg Config) (*exchanger, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("parsing the webhook URL: %w", err)
	}
	port := u.Port()
	if port == "" {
		port = u.Scheme
	}
	x := &exchanger{
		url:     u,
		address: net.JoinHostPort(u.Hostname(), port),
		// Connections are too short for keep-alive probes.
		dialer:  net.Dialer{KeepAlive: -1},
		expects: behaviors[cfg.Generation].expectContinue,
	}
	if u.Scheme == "https" {
		x.transport = &http.Transport{
			DialContext:        x.dialer.DialContext,
			TLSClientConfig:    &tls.Config{InsecureSkipVerify: cfg.InsecureSkipVerify},
			ForceAttemptHTTP2:  true,
			DisableCompression: true, // libcurl does not request it
		}
	}
	return x, nil
}

// do sends a request and returns the answer. An error is a failure of the transfer, whereas any status is an answer.
func (x *exchanger) do(ctx context.Context, r request) (answer, error) {
	if x.transport != nil {
		return x.doTLS(ctx, r)
	}
	return x.doPlain(ctx, r)
}
