package webhook

import (
	"errors"
	"sync"
	"time"
)

// errBusy is returned when there was no memory for a body in time.
var errBusy = errors.New("no memory for the body")

// memory bounds the bytes of bodies that are held at once, those over smallBody: small bodies, and with them
// access-requests, never ask for it. It is taken as bytes arrive, so that a client that announces much and sends little
// holds little.
//
// One body at a time may finish from a reserve that is as large as the largest body. So bodies that each hold a part
// and wait for more do not wait for each other. Those that came last are served first: when there are more than can be
// served, the others have been given up by their clients.
type memory struct {
	total, largest int64

	mu      sync.Mutex
	free    int64 // without the reserve
	reserve bool  // whether the reserve is in use
	waiting []*claim
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
	m.waiting = append(m.waiting, c)
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
	for i, other := range m.waiting {
		if other == c {
			m.waiting = append(m.waiting[:i], m.waiting[i+1:]...)
			return errBusy
		}
	}
	return nil // granted meanwhile
}

func (m *memory) grant(c *claim, n int64) bool {
	switch {
	case c.finishes:
		return true
	case m.free >= n:
		m.free -= n
		c.held += n
		return true
	case !m.reserve:
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
	for len(m.waiting) > 0 {
		last := len(m.waiting) - 1
		next := m.waiting[last]
		if !m.grant(next, next.wants) {
			return
		}
		m.waiting[last] = nil
		m.waiting = m.waiting[:last]
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
