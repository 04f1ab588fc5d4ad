package webhook_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"smithproxy_exporter/exporter/webhook"
)

// handshake completes a TLS handshake from an address, in a goroutine.
func (s *listening) handshake(ca *authority, from string) (done chan error) {
	done = make(chan error, 1)
	secure := tls.Client(s.dial(from), &tls.Config{RootCAs: ca.pool, ServerName: "127.0.0.1"})
	go func() { done <- secure.Handshake() }()
	return done
}

// waitTurns waits until so many handshakes wait for their turn.
func (s *listening) waitTurns(n int) {
	for s.server.Connections.WaitingTurns() != n {
		time.Sleep(time.Millisecond)
	}
}

// A flood of handshakes does not keep a client out that has shown a valid secret.
func TestHandshakesOfKnownClientsDoNotWait(t *testing.T) {
	ca := newAuthority(t)
	s := listen(t, webhook.Config{TLS: ca.tlsConfig()}, nil)
	trusting := &tls.Config{RootCAs: ca.pool, ServerName: "127.0.0.1"}
	if response, err := s.postTLS(trusting, ping); err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response, err)
	}
	release := s.server.Connections.HoldTurns()
	stranger := s.handshake(ca, "127.0.0.2")
	s.waitTurns(1)
	if response, err := s.postTLS(trusting, ping); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("a known client was answered %v, %v", response, err)
	}
	select {
	case err := <-stranger:
		t.Errorf("a stranger's handshake did not wait: %v", err)
	default:
	}
	release()
	if err := <-stranger; err != nil {
		t.Error(err)
	}
	s.refused.check(t)
}

// A wrong secret makes no client known.
func TestHandshakesOfStrangersWait(t *testing.T) {
	ca := newAuthority(t)
	s := listen(t, webhook.Config{TLS: ca.tlsConfig()}, func(l *webhook.Limits) { l.HeaderTimeout = 50 * time.Millisecond })
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool}, DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport}).Post("https://"+s.address+"/webhook/wrong", "", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	s.refused.check(t, "secret")
	release := s.server.Connections.HoldTurns()
	defer release()
	if err := <-s.handshake(ca, "127.0.0.1"); err == nil {
		t.Error("the handshake was computed although it was not its turn")
	}
	s.refused.check(t, "connection handshakes")
	if failed := s.server.Handshakes.Failed(); len(failed) > 0 {
		t.Errorf("noted as failed handshakes: %+v", failed)
	}
}

// A connection that is closed for another one stops waiting for its turn.
func TestEvictedHandshakeStopsWaiting(t *testing.T) {
	ca := newAuthority(t)
	s := listen(t, webhook.Config{TLS: ca.tlsConfig()}, func(l *webhook.Limits) { l.Connections, l.ConnectionsPerAddress = 2, 2 })
	release := s.server.Connections.HoldTurns()
	defer release()
	first, second := s.handshake(ca, "127.0.0.2"), s.handshake(ca, "127.0.0.2")
	s.waitTurns(2)
	third := s.handshake(ca, "127.0.0.3")
	s.refused.check(t, "connection evicted")
	select {
	case <-first:
	case <-second:
	}
	s.waitTurns(2)
	release()
	if err := <-third; err != nil {
		t.Error(err)
	}
}

// Clients that do not go on with their handshakes do not keep their turns.
func TestStalledHandshakesKeepNoTurn(t *testing.T) {
	ca := newAuthority(t)
	s := listen(t, webhook.Config{TLS: ca.tlsConfig()}, nil)
	known, others := s.server.Connections.FreeTurns()
	for range 2 * (known + others) {
		s.stall("127.0.0.2")
	}
	if err := <-s.handshake(ca, "127.0.0.3"); err != nil {
		t.Error(err)
	}
}

// stall begins a handshake from an address, and does not read the server's part of it.
func (s *listening) stall(from string) {
	s.Helper()
	stalled := tls.Client(deaf{s.dial(from), s.Context()}, &tls.Config{InsecureSkipVerify: true})
	go func() { _ = stalled.Handshake() }()
}

// deaf is a connection that reads nothing until the end of the test.
type deaf struct {
	net.Conn
	over context.Context
}

func (d deaf) Read([]byte) (int, error) {
	<-d.over.Done()
	return 0, io.EOF
}

// However a handshake ends, its turn is for the next one.
func TestTurnsAreGivenBack(t *testing.T) {
	ca := newAuthority(t)
	s := listen(t, webhook.Config{TLS: ca.tlsConfig()}, func(l *webhook.Limits) { l.HeaderTimeout = 20 * time.Millisecond })
	known, others := s.server.Connections.FreeTurns()
	trusting := &tls.Config{RootCAs: ca.pool, ServerName: "127.0.0.1"}
	for range others + 1 {
		for _, change := range []func(*tls.Config){
			func(*tls.Config) {},
			func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 },
			func(c *tls.Config) { c.MaxVersion = tls.VersionTLS11 },
			func(c *tls.Config) { c.ServerName = "another.example.com" },
		} {
			c := trusting.Clone()
			change(c)
			secure := tls.Client(s.dial("127.0.0.2"), c)
			if secure.Handshake() == nil {
				_, _ = io.WriteString(secure, "GET / HTTP/1.1\r\n") // never ends
			}
			_, _ = secure.Read(make([]byte, 1))
			secure.Close()
		}
		s.stall("127.0.0.2")
		s.waitOpen(0)
		for len(s.refused) > 0 {
			<-s.refused
		}
	}
	if k, o := s.server.Connections.FreeTurns(); k != known || o != others {
		t.Errorf("%d and %d turns are free, want %d and %d", k, o, known, others)
	}
}
