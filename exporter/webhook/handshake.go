package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// The reasons for which a TLS handshake fails.
const (
	handshakePlain       = "plain_http"         // HTTP on the HTTPS port
	handshakeNotTLS      = "not_tls"            // anything else that is not TLS
	handshakeUntrusted   = "untrusted"          // the client does not accept the certificate of the listener
	handshakeAborted     = "aborted"            // the client closed the connection during the handshake
	handshakeCertificate = "client_certificate" // the client's certificate is missing or not accepted
	handshakeVersion     = "version"            // no common version or cipher suite
	handshakeTimeout     = "timeout"
	handshakeOther       = "other"
)

// HandshakeReasons are all reasons that Metrics.HandshakeFailed is called with.
var HandshakeReasons = []string{
	handshakePlain, handshakeNotTLS, handshakeUntrusted, handshakeAborted, handshakeCertificate, handshakeVersion,
	handshakeTimeout, handshakeOther,
}

// hints say what to check.
var hints = map[string]string{
	handshakePlain:       "use https in the proxy's webhook URL",
	handshakeNotTLS:      "something other than a proxy connects to this port",
	handshakeUntrusted:   "the CA of webhook.tls.cert_file must be in the system store of the proxy's host, and the certificate must be valid for the host name in the webhook URL",
	handshakeAborted:     "a proxy that does not trust the certificate can look like this: see untrusted in docs/alerts.md",
	handshakeCertificate: "the client needs a certificate of a CA in webhook.tls.client_ca_file",
	handshakeVersion:     "the client must speak TLS 1.2 or 1.3",
	handshakeTimeout:     "the client or the network is slow, or the client is not a proxy",
	handshakeOther:       "see the error",
}

// Handshake is the last failed handshake of a client.
type Handshake struct {
	Client netip.Addr
	Reason string
	At     time.Time
	// Failed is how many handshakes of the client have failed since it was noted first.
	Failed int
}

// maxHandshakes bounds the clients whose failed handshakes are kept.
const maxHandshakes = 256

// Handshakes keeps the clients whose TLS handshakes failed last. It is safe for concurrent use.
type Handshakes struct {
	mu      sync.Mutex
	clients map[netip.Addr]Handshake
}

// Failed returns the last failed handshake of each client, the latest first.
func (h *Handshakes) Failed() []Handshake {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]Handshake, 0, len(h.clients))
	for _, each := range h.clients {
		all = append(all, each)
	}
	slices.SortFunc(all, func(a, b Handshake) int { return b.At.Compare(a.At) })
	return all
}

func (h *Handshakes) add(client netip.Addr, reason string, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.clients == nil {
		h.clients = map[netip.Addr]Handshake{}
	}
	known, ok := h.clients[client]
	if !ok && len(h.clients) >= maxHandshakes {
		oldest := known
		for _, each := range h.clients {
			if oldest.At.IsZero() || each.At.Before(oldest.At) {
				oldest = each
			}
		}
		delete(h.clients, oldest.Client)
	}
	h.clients[client] = Handshake{Client: client, Reason: reason, At: at, Failed: known.Failed + 1}
}

// closed looks at a connection that net/http has closed: if its handshake failed, it is counted.
func (s *Server) closed(c net.Conn) {
	secure, ok := c.(*tls.Conn)
	if !ok || secure.ConnectionState().HandshakeComplete {
		return
	}
	peer, ok := secure.NetConn().(*conn)
	if !ok || peer.wasEvicted() {
		return
	}
	// A handshake that has failed returns its error again.
	err := secure.HandshakeContext(context.Background())
	if err == nil || errors.Is(err, net.ErrClosed) {
		return
	}
	if errors.Is(err, errNoTurn) {
		s.Connections.count(connectionsTurn, peer)
		return
	}
	reason := handshakeReason(err)
	if reason == handshakeAborted && !peer.heard.Load() {
		return // a port scan or a health check that only connects
	}
	now := time.Now()
	s.Handshakes.add(peer.addr, reason, now)
	s.metrics.HandshakeFailed(reason)
	s.warnings.warn(now, "handshake_"+reason, "TLS handshake failed",
		"peer", peer.RemoteAddr(), "reason", reason, "err", err, "check", hints[reason])
}

// remoteError is net.OpError.Op for an alert that the peer sent.
const remoteError = "remote error"

func handshakeReason(err error) string {
	if record, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		if looksLikeHTTP(record.RecordHeader) {
			return handshakePlain
		}
		return handshakeNotTLS
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return handshakeCertificate
	}
	if failed, ok := errors.AsType[net.Error](err); ok && failed.Timeout() {
		return handshakeTimeout
	}
	text := err.Error()
	contains := func(part string) bool { return strings.Contains(text, part) }
	if alert, ok := errors.AsType[*net.OpError](err); ok && alert.Op == remoteError {
		switch {
		case contains("certificate"), contains("access denied"):
			return handshakeUntrusted
		case contains("protocol version"), contains("handshake failure"):
			return handshakeVersion
		}
		return handshakeOther
	}
	switch {
	// Old versions of OpenSSL refuse a certificate with an alert that is not encrypted as it should be.
	case contains("bad record MAC"):
		return handshakeUntrusted
	case contains("client didn't provide a certificate"), contains("client certificate"):
		return handshakeCertificate
	case contains("unsupported versions"), contains("no cipher suite supported"), contains("no ECDHE"), contains("no mutually supported"):
		return handshakeVersion
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), contains("connection reset"), contains("broken pipe"):
		return handshakeAborted
	}
	return handshakeOther
}

// looksLikeHTTP reports whether a record header is the beginning of an HTTP request.
func looksLikeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "DELET", "OPTIO", "PATCH", "CONNE":
		return true
	}
	return false
}
