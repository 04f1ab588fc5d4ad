package webhook

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// errBusy is returned when there was no memory for a body in time.
var errBusy = errors.New("no memory for the body")

// memory bounds the bytes of bodies that are held at once, those over smallBody: small bodies, and with them
// access-requests, never ask for it. It is taken as bytes arrive, so that a client that announces much and sends little
// holds little.
//
// Bodies that each hold a part and wait for more do not wait for each other: one at a time may finish from a reserve that
// is as large as the largest body, and those that begin leave half of the rest to those that have begun. Those that came
// last are served first: when there are more than can be served, the others have been given up by their clients.
type memory struct {
	total, largest int64

	mu      sync.Mutex
	free    int64 // without the reserve
	reserve bool  // whether the reserve is in use
	// begun and begin are those that wait, with and without a part.
	begun, begin []*claim
}

// claim is what one body holds. Its fields belong to the memory's lock.
type claim struct {
	held     int64
	finishes bool // uses the reserve
	wants    int64
	granted  chan struct{}
}

// newMemory returns memory of a total, of which largest is the reserve.
func newMemory(total, largest int64) *memory {
	return &memory{total: total, largest: largest, free: total - largest}
}

// take adds n bytes to a claim, and waits for them for at most the given time.
func (m *memory) take(c *claim, n int64, timeout time.Duration) error {
	m.mu.Lock()
	if m.grant(c, n) {
		m.mu.Unlock()
		return nil
	}
	if timeout <= 0 {
		m.mu.Unlock()
		return errBusy
	}
	c.wants, c.granted = n, make(chan struct{})
	queue := &m.begin
	if c.held > 0 {
		queue = &m.begun
	}
	*queue = append(*queue, c)
	m.mu.Unlock()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-c.granted:
		return nil
	case <-timer.C:
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(*queue, c); i >= 0 {
		*queue = slices.Delete(*queue, i, i+1)
		return errBusy
	}
	return nil // granted meanwhile
}

// grant adds n bytes to a claim if there are any for it. The lock is held.
func (m *memory) grant(c *claim, n int64) bool {
	leave := int64(0)
	if c.held == 0 {
		leave = (m.total - m.largest) / 2
	}
	switch {
	case c.finishes:
		return true
	case m.free-n >= leave:
		m.free -= n
		c.held += n
		return true
	case !m.reserve && (c.held > 0 || len(m.begun) == 0):
		m.reserve, c.finishes = true, true
		return true
	}
	return false
}

// give returns what a claim holds.
func (m *memory) give(c *claim) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free += c.held
	if c.finishes {
		m.reserve = false
	}
	*c = claim{}
	m.serve(&m.begun)
	m.serve(&m.begin)
}

// serve grants what those in a queue want, the last ones first. The lock is held.
func (m *memory) serve(queue *[]*claim) {
	for len(*queue) > 0 {
		last := len(*queue) - 1
		next := (*queue)[last]
		if !m.grant(next, next.wants) {
			return
		}
		*queue = slices.Delete(*queue, last, last+1)
		close(next.granted)
	}
}

// taken returns how many bytes are held, the reserve included while it is in use.
func (m *memory) taken() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.total - m.largest - m.free
	if m.reserve {
		taken += m.largest
	}
	return taken
}
