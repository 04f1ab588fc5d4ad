package web

import (
	"sync"

	"smithproxy_exporter/exporter/track"
)

// Recent remembers the connections that finished last. It is a sink, and safe for reading from many
// goroutines.
type Recent struct {
	mu   sync.RWMutex
	ring []*track.Connection // next is the oldest once it is full
	next int
}

// NewRecent returns a memory for so many connections.
func NewRecent(size int) *Recent { return &Recent{ring: make([]*track.Connection, 0, size)} }

// Take keeps a finished connection, in place of the oldest one.
func (r *Recent) Take(f track.Fact) {
	finished, ok := f.(track.Finished)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ring) < cap(r.ring) {
		r.ring = append(r.ring, finished.C)
		return
	}
	r.ring[r.next] = finished.C
	r.next = (r.next + 1) % len(r.ring)
}

// Each calls visit with the connections, the one that finished last first, until it returns false.
// They are not to be changed.
func (r *Recent) Each(visit func(*track.Connection) bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for i := range r.ring {
		if !visit(r.ring[(r.next+len(r.ring)-1-i)%len(r.ring)]) {
			return
		}
	}
}
