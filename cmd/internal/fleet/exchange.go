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
	// expectAbove is the size of a body in bytes above which libcurl asks first
	// whether the receiver wants it.
	expectAbove = 1 << 20
	// expectWait is how long it waits for the answer to that.
	expectWait = time.Second
	// answerMax bounds what is read of an answer, in bytes.
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

// answer is what came back.
type answer struct {
	status int
	body   []byte
	// sent is just before the request's first byte left, answered when the answer
	// had been read.
	sent, answered time.Time
}

// ok says whether the receiver acknowledged.
func (a answer) ok() bool { return a.status >= 200 && a.status <= 299 }

// exchanger makes exchanges as libcurl in smithproxy does: each over a connection
// of its own, which the client closes.
type exchanger struct {
	url       *url.URL
	address   string
	dialer    net.Dialer
	transport *http.Transport // of https
	expects   bool            // asks before it sends a large body
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
		// Connections are too short for probes.
		dialer:  net.Dialer{KeepAlive: -1},
		expects: behaviors[cfg.Generation].expectContinue,
	}
	if u.Scheme == "https" {
		x.transport = &http.Transport{
			DialContext:        x.dialer.DialContext,
			TLSClientConfig:    &tls.Config{InsecureSkipVerify: cfg.InsecureSkipVerify},
			ForceAttemptHTTP2:  true,
			DisableCompression: true, // libcurl does not ask for it
		}
	}
	return x, nil
}

// do makes one exchange. An error is a transfer failure; any status is not.
func (x *exchanger) do(ctx context.Context, r request) (answer, error) {
	if x.transport != nil {
		return x.doTLS(ctx, r)
	}
	return x.doPlain(ctx, r)
}
