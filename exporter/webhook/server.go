package webhook

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
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
	// readTimeout is for a whole request. smithproxy gives up after 5 s (60 s for neighbor events, which
	// are small), so it cuts no event short.
	readTimeout = 30 * time.Second
	// writeTimeout begins with the request as well. It is longer, so that an access-request whose body
	// stalls gets an answer.
	writeTimeout = readTimeout + 5*time.Second
)

// NewServer returns the HTTP server of the webhook listener. Its timeouts bound what a client that
// stalls or is gone can hold. Shutdown of the server closes the listeners and waits until all requests
// that it had accepted are answered.
func NewServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		// Behind a reverse proxy connections are kept.
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 16 << 10,
		// Broken handshakes and the like are of the clients' making.
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
