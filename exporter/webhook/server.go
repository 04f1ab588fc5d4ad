package webhook

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
)

// Listen opens the TCP socket of the webhook listener. Its connections do not have TCP keep-alive set:
// smithproxy opens a connection for every event, and keep-alive costs three system calls for each. The
// timeouts of NewServer bound how long a dead peer is held.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{KeepAlive: -1}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("webhook listener: %w", err)
	}
	return l, nil
}

const (
	maxHeaderBytes = 16 << 10
	// streamWindow and maxStreams bound what an HTTP/2 client can have in flight. smithproxy makes a connection
	// for each event.
	streamWindow, maxStreams = 256 << 10, 100
)

// Server is the HTTP server of the webhook listener.
type Server struct {
	// HTTP answers. To stop it, use the Shutdown of Server.
	HTTP        *http.Server
	Connections *Connections
	// Handshakes are the TLS handshakes that failed.
	Handshakes *Handshakes

	tls      *tls.Config
	metrics  Metrics
	warnings *warnings
}

// NewServer returns a server for a handler. The Door must have been prepared: whether it has certificates decides
// between HTTP and HTTPS.
func NewServer(h *Handler) *Server {
	s := &Server{
		Connections: newConnections(h.Door, h.Limits, h.Metrics, h.warnings), Handshakes: new(Handshakes),
		metrics: h.Metrics, warnings: h.warnings,
	}
	if secure := h.Door.TLSConfig(); secure != nil {
		s.tls = s.Connections.handshakes.limit(secure)
	}
	s.HTTP = &http.Server{
		Handler:           h,
		ReadHeaderTimeout: h.Limits.HeaderTimeout,
		ReadTimeout:       h.Limits.BodyTimeout,
		WriteTimeout:      h.Limits.WriteTimeout,
		IdleTimeout:       h.Limits.IdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          maxStreams,
			MaxReceiveBufferPerConnection: streamWindow, MaxReceiveBufferPerStream: streamWindow,
		},
		TLSConfig: s.tls,
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, underlying(c))
		},
		ConnState: func(c net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				s.closed(c)
			} else if known := underlying(c); known != nil {
				known.setIdle(state == http.StateIdle)
			}
		},
		// What clients do wrong; failed handshakes are logged by closed.
		ErrorLog: slog.NewLogLogger(h.Logger.Handler(), slog.LevelDebug),
	}
	return s
}

// Secure reports whether the server speaks HTTPS.
func (s *Server) Secure() bool { return s.tls != nil }

// Serve serves the connections of a listener until the listener is closed.
func (s *Server) Serve(l net.Listener) error {
	limited := &listener{Listener: l, connections: s.Connections}
	var err error
	if s.Secure() {
		err = s.HTTP.ServeTLS(limited, "", "")
	} else {
		err = s.HTTP.Serve(limited)
	}
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("webhook listener: %w", err)
}

// Shutdown waits until all requests of the connections that the server has accepted are answered, and closes them. The
// listener must be closed and Serve have returned. It returns the error of ctx if that is done before; the connections
// that are left stay open then.
func (s *Server) Shutdown(ctx context.Context) error {
	s.HTTP.SetKeepAlivesEnabled(false)
	if err := s.Connections.drain(ctx); err != nil {
		return err
	}
	return s.HTTP.Shutdown(ctx)
}

// connKey is the key of a request's connection in its context.
type connKey struct{}

// underlying returns the connection that Connections knows, nil if it is another listener's.
func underlying(c net.Conn) *conn {
	if secure, ok := c.(*tls.Conn); ok {
		c = secure.NetConn()
	}
	known, _ := c.(*conn)
	return known
}
