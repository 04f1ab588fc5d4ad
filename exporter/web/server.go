package web

import (
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// maxConnections bounds the open connections of the web listener, and maxScrapes the scrapes at a time.
	maxConnections, maxScrapes = 512, 8
	// answerTimeout is for a request and its answer. A scrape of all series over a slow line takes long.
	answerTimeout = 5 * time.Minute
)

// NewServer returns the server of the web listener. Connections over its bound are closed.
func NewServer(o Options, logger *slog.Logger) (*http.Server, error) {
	handler, err := NewHandler(o)
	if err != nil {
		return nil, err
	}
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ConnState:         new(connections).changed,
		// What clients do wrong.
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}, nil
}

// connections counts the open ones.
type connections struct{ open atomic.Int64 }

func (c *connections) changed(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if c.open.Add(1) > maxConnections {
			_ = conn.Close() // the client sees it
		}
	case http.StateClosed, http.StateHijacked:
		c.open.Add(-1)
	}
}
