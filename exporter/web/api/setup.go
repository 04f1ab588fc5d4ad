package api

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Setup returns what a new proxy needs to know, without the secret.
func (a *API) Setup(context.Context) (Setup, error) {
	s := Setup{URL: a.System.WebhookURL()}
	for _, p := range a.Activity.Proxies() {
		s.Proxies++
		s.Pinged = s.Pinged || !p.Status.PingedAt.IsZero()
	}
	return s, nil
}

// Secret returns the webhook secret, if the request comes from the loopback interface without a proxy between, or from an
// authenticated user. Else it returns ErrForbidden.
func (a *API) Secret(r *http.Request) (SetupSecret, error) {
	if !a.MaySeeSecret(r) {
		return SetupSecret{}, ErrForbidden
	}
	secret, err := a.System.Secret()
	if err != nil {
		return SetupSecret{}, err
	}
	return SetupSecret{Secret: secret, URL: a.System.WebhookURL() + secret}, nil
}

// MaySeeSecret reports whether Secret would return the secret, so that a page can leave out the button.
func (a *API) MaySeeSecret(r *http.Request) bool {
	return a.System.Authenticated() || isLoopback(r.RemoteAddr) && isLoopbackHost(r.Host) && !isForwarded(r.Header)
}

func isLoopback(address string) bool {
	peer, err := netip.ParseAddrPort(address)
	return err == nil && peer.Addr().Unmap().IsLoopback()
}

// isLoopbackHost reports whether a browser was told to connect to this host by a name that cannot be made to point here
// by somebody else (DNS rebinding).
func isLoopbackHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && addr.IsLoopback()
}

// isForwarded reports whether a reverse proxy passed the request on.
func isForwarded(h http.Header) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if h.Get(name) != "" {
			return true
		}
	}
	return false
}
