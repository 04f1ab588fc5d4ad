package web

import (
	"context"
	"net/http"
	"sync"
	"time"
)

const (
	// maxScrapes bounds the scrapes at a time.
	maxScrapes = 8
	// patience is for how long a client may not read, at the bound, before another scrape takes its place.
	patience = 200 * time.Millisecond
	// maxScrapeWait is how long a scrape waits for its turn: half of Prometheus' default scrape_timeout.
	maxScrapeWait = 5 * time.Second
)

// scrapes bounds how many scrapes are being answered. At the bound, a new scrape waits for its turn, and takes the place of
// one whose client does not read. It is safe for concurrent use.
type scrapes struct {
	mu   sync.Mutex
	open map[*scrape]struct{}
	// ended has a value after a scrape has ended, for one that waits.
	ended chan struct{}
}

func newScrapes() *scrapes {
	return &scrapes{open: map[*scrape]struct{}{}, ended: make(chan struct{}, 1)}
}

// scrape is the answer to one request.
type scrape struct {
	http.ResponseWriter
	of *scrapes
	// blocked is when the write that is under way began; zero without one. It belongs to the lock of scrapes.
	blocked time.Time
}

// bounded returns a handler that serves at most maxScrapes requests at a time.
func (s *scrapes) bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &scrape{ResponseWriter: w, of: s}
		ctx, cancel := context.WithTimeout(r.Context(), maxScrapeWait)
		defer cancel()
		if !s.wait(ctx, answer) {
			http.Error(w, "Too many scrapes at a time.", http.StatusServiceUnavailable)
			return
		}
		defer s.end(answer)
		next.ServeHTTP(answer, r)
	})
}

// wait begins a scrape when it has its turn. It reports false if ctx is done before.
func (s *scrapes) wait(ctx context.Context, answer *scrape) bool {
	if s.begin(answer) {
		return true
	}
	stalled := time.NewTicker(patience)
	defer stalled.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-s.ended:
		case <-stalled.C:
		}
		if s.begin(answer) {
			return true
		}
	}
}

func (s *scrapes) begin(answer *scrape) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) >= maxScrapes && !s.evict() {
		return false
	}
	s.open[answer] = struct{}{}
	return true
}

// evict ends the scrape whose client has not read for longest. The lock is held.
func (s *scrapes) evict() bool {
	var stalled *scrape
	for other := range s.open {
		if !other.blocked.IsZero() && (stalled == nil || other.blocked.Before(stalled.blocked)) {
			stalled = other
		}
	}
	if stalled == nil || time.Since(stalled.blocked) < patience {
		return false
	}
	delete(s.open, stalled)
	// Its write fails. An error says that it cannot be ended like this, and then it lasts until its time-out.
	_ = http.NewResponseController(stalled.ResponseWriter).SetWriteDeadline(time.Now())
	return true
}

func (s *scrapes) end(answer *scrape) {
	s.mu.Lock()
	delete(s.open, answer)
	s.mu.Unlock()
	select {
	case s.ended <- struct{}{}:
	default:
	}
}

// Unwrap is for http.ResponseController.
func (a *scrape) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Write notes since when the client does not read.
func (a *scrape) Write(p []byte) (int, error) {
	a.note(time.Now())
	defer a.note(time.Time{})
	return a.ResponseWriter.Write(p)
}

func (a *scrape) note(at time.Time) {
	a.of.mu.Lock()
	defer a.of.mu.Unlock()
	a.blocked = at
}
