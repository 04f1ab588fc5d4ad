package webhook

import (
	"log/slog"
	"net/http"
	"time"
)

// NewServer returns the HTTP server of the webhook listener. Its timeouts bound what a client that
// stalls can hold; smithproxy itself gives up after 5 s, so none of them cuts an event short.
func NewServer(handler http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		// Behind a reverse proxy connections are kept.
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 16 << 10,
		// Broken handshakes and the like are of the clients' making.
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}
