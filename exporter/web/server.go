package web

import (
	"log/slog"
	"net/http"
	"time"
)

const (
	// maxConnections bounds the open connections of the web listener.
	maxConnections = 512
	// answerTimeout is for a request and its answer. A scrape of all series over a slow line takes long.
	answerTimeout = 5 * time.Minute
)

// NewServer returns the server of the web listener. Its connections are bounded, see connections.
func NewServer(o Options, logger *slog.Logger) (*http.Server, error) {
	handler, err := NewHandler(o)
	if err != nil {
		return nil, err
	}
	open := newConnections()
	return &http.Server{
		Handler:           open.answering(handler),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ConnState:         open.changed,
		ConnContext:       open.context,
		// What clients do wrong.
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}, nil
}
