package web

import (
	"sync/atomic"

	"smithproxy_exporter/exporter/track"
)

// Recent is a sink that holds the connections that finished last. Take is called from one goroutine; readers
// are any number of others, and never make it wait: there is no lock.
type Recent struct {
	// slots is a ring: the n-th connection, from 1, is in slot n-1 modulo the length.
	slots []atomic.Pointer[finished]
	taken atomic.Uint64
}

type finished struct {
	number uint64
	c      *track.Connection
}

// NewRecent returns a Recent that holds at most size connections.
func NewRecent(size int) *Recent {
	return &Recent{slots: make([]atomic.Pointer[finished], max(0, size))}
}

// Take keeps a finished connection, in place of the oldest one when the ring is full.
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

// Latest is the number of the connection that finished last; 0 when none did. Numbers begin at 1 with the
// process.
func (r *Recent) Latest() uint64 { return r.taken.Load() }

// Each calls visit with the connections whose number is below before, the one that finished last first, until it
// returns false. They are not to be changed. Those that are replaced meanwhile are left out.
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
