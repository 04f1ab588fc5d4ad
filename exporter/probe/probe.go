// Package probe asks an exporter from outside whether it answers: a health check, set-up and the doctor share it.
package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

const (
	// timeout is for a whole request.
	timeout = 5 * time.Second
	// maxBytes bounds what is read of a response. Metrics of many proxies are the largest.
	maxBytes = 64 << 20
)

var (
	// ErrNoListener is returned if nobody listens at the address.
	ErrNoListener = errors.New("connection refused: nobody listens there")
	// ErrSecret is returned if an exporter listens that does not accept the secret.
	ErrSecret = errors.New("the exporter does not accept this secret")
	// ErrAddress is returned if the exporter does not accept clients from this address (webhook.allow).
	ErrAddress = errors.New("the exporter does not accept clients from this address")
	// ErrForeign is returned if something other than an exporter answers.
	ErrForeign = errors.New("something other than smithproxy_exporter answers there")
)

// Response is the response to a GET.
type Response struct {
	Status int
	Body   []byte
	// Date is the clock of the server, with a resolution of seconds; zero if it does not say.
	Date time.Time
}

// Get fetches a URL, and returns a response of any status.
func Get(ctx context.Context, address string) (Response, error) {
	response, body, err := exchange(ctx, http.MethodGet, address, nil)
	if err != nil {
		return Response{}, err
	}
	date, _ := http.ParseTime(response.Header.Get("Date")) // zero if it is no time
	return Response{response.StatusCode, body, date}, nil
}

// Healthy returns nil if the exporter whose web listener has the URL answers. One that asks for a password does.
func Healthy(ctx context.Context, address string) error {
	response, err := Get(ctx, address)
	switch {
	case err != nil:
		return err
	case response.Status == http.StatusOK || response.Status == http.StatusUnauthorized:
		return nil
	}
	return fmt.Errorf("status %d: %.200s", response.Status, bytes.TrimSpace(response.Body))
}

// Webhook asks the webhook with the given URL, whose last path segment is a secret. It returns nil if an exporter listens
// there that accepts the secret, else one of the errors of this package or another. certificate is that of the listener,
// nil without TLS or a connection.
//
// The exporter counts the request as a rejected event with the reason "missing".
func Webhook(ctx context.Context, address string) (certificate *x509.Certificate, err error) {
	// An event without a source is refused, and changes no state.
	response, body, err := exchange(ctx, http.MethodPost, address, []byte("{}"))
	if err != nil {
		return nil, err
	}
	if response.TLS != nil && len(response.TLS.PeerCertificates) > 0 {
		certificate = response.TLS.PeerCertificates[0]
	}
	var refusal struct {
		Reason string `json:"reason"`
	}
	if json.Unmarshal(body, &refusal) != nil {
		return certificate, ErrForeign
	}
	switch refusal.Reason {
	case "missing":
		return certificate, nil
	case "secret":
		return certificate, ErrSecret
	case "address":
		return certificate, ErrAddress
	case "":
		return certificate, ErrForeign
	}
	return certificate, fmt.Errorf("the exporter refuses a request: %s", refusal.Reason)
}

// exchange makes a request. The certificate of a server on this host is not verified, because it is made for the name
// that others know this host by.
func exchange(ctx context.Context, method, address string, body []byte) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	client := http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: isLoopback(request.URL.Hostname())},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, nil, withoutURL(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxBytes))
	if err != nil {
		return nil, nil, fmt.Errorf("response: %w", err)
	}
	return response, content, nil
}

// withoutURL returns an error of a request without its URL, which can contain a secret.
func withoutURL(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return ErrNoListener
	}
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Local returns the URL of a listener of this host, from the address that it listens on.
func Local(secure bool, listen string) string {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return scheme + "://" + listen
	}
	// Not localhost: a minimal system cannot resolve it.
	switch host {
	case "", "0.0.0.0":
		host = "127.0.0.1"
	case "::":
		host = "::1"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
