package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"
)

// What other TLS libraries send, as crypto/tls reports it.
func TestHandshakeReason(t *testing.T) {
	remote := func(alert string) error {
		return &net.OpError{Op: "remote error", Err: errors.New("tls: " + alert)}
	}
	for _, tt := range []struct {
		err  error
		want string
	}{
		{remote("unknown certificate authority"), handshakeUntrusted},
		{remote("bad certificate"), handshakeUntrusted},
		{remote("unknown certificate"), handshakeUntrusted},
		{remote("expired certificate"), handshakeUntrusted},
		{remote("protocol version not supported"), handshakeVersion},
		{remote("handshake failure"), handshakeVersion},
		{remote("internal error"), handshakeOther},
		{&net.OpError{Op: "local error", Err: errors.New("tls: bad record MAC")}, handshakeUntrusted}, // OpenSSL before 3
		{fmt.Errorf("read: %w", syscall.ECONNRESET), handshakeAborted},
		{errors.New("tls: no cipher suite supported by both client and server"), handshakeVersion},
		{errors.New("tls: something new"), handshakeOther},
	} {
		if got := handshakeReason(tt.err); got != tt.want {
			t.Errorf("%v: reason %s, want %s", tt.err, got, tt.want)
		}
	}
	for _, reason := range HandshakeReasons {
		if hints[reason] == "" {
			t.Errorf("nothing says what to check for %s", reason)
		}
	}
}

// However many clients fail, only the last ones are kept.
func TestHandshakesAreBounded(t *testing.T) {
	var h Handshakes
	at := time.Unix(1_700_000_000, 0)
	addr := netip.MustParseAddr("10.0.0.0")
	for range 2 * maxHandshakes {
		addr, at = addr.Next(), at.Add(time.Second)
		h.add(addr, handshakeOther, at)
	}
	h.add(addr, handshakeTimeout, at)
	failed := h.Failed()
	if len(failed) != maxHandshakes || failed[0] != (Handshake{addr, handshakeTimeout, at, 2}) {
		t.Errorf("%d are kept, the last is %+v", len(failed), failed[0])
	}
	if oldest := failed[len(failed)-1].At; at.Sub(oldest) != (maxHandshakes-1)*time.Second {
		t.Errorf("the oldest is of %v before", at.Sub(oldest))
	}
}
