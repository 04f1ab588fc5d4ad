package web

import (
	"sync/atomic"

	"smithproxy_exporter/exporter/track"
)

// Recent is a sink that keeps the most recently finished connections. Take is called from one goroutine, the other
// methods from any. Readers do not block Take: there is no lock.
type Recent struct {
	// slots is a ring buffer: the n-th connection, from 1, is in slot n-1 modulo the length.
	slots []atomic.Pointer[finished]
	taken atomic.Uint64
}

type finished struct {
	number uint64
	c      *track.Connection
}

// NewRecent returns a Recent that keeps at most size connections.
func NewRecent(size int) *Recent {
	return &Recent{slots: make([]atomic.Pointer[finished], max(0, size))}
}

// Take adds a finished connection. If the ring is full, it replaces the oldest one.
func (r *Recent) Take(f track.Fact) {
	done, ok := f.(track.Finished)
	if !ok || len(r.slots) == 0 {
		return
	}
	number := r.taken.Load() + 1
	r.slot(number).Store(&finished{number, done.C})
	r.taken.Store(number)
}

func (r *Recent) slot(number uint64) *atomic.Pointer[finished] {
	return &r.slots[(number-1)%uint64(len(r.slots))]
}

// Latest returns the number of the most recently finished connection, 0 if there is none. Numbers begin at 1 in each
// process.
func (r *Recent) Latest() uint64 { return r.taken.Load() }

// Each calls visit with the connections whose number is below before, the latest first, until it returns false. visit
// must not change them. Connections that are replaced meanwhile are left out.
func (r *Recent) Each(before uint64, visit func(number uint64, c *track.Connection) (more bool)) {
	if before == 0 || len(r.slots) == 0 {
		return
	}
	for number := min(before-1, r.taken.Load()); number > 0; number-- {
		f := r.slot(number).Load()
		if f.number != number || !visit(number, f.c) {
			return // it was replaced, and so were all older ones
		}
	}
}
