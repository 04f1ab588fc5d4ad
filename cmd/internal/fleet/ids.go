package fleet

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
)

// objectIDs generates the ids of one proxy's connections. The scheduler calls boot and next; free may be called from any
// goroutine.
type objectIDs struct {
	kind       idKind
	rand       *rand.Rand
	reuseShare float64
	made       uint64 // objects since the boot

	mu       sync.Mutex
	instance string
	freed    []freedID
}

// freedID is an id whose object was destroyed.
type freedID struct {
	id     string
	client netip.AddrPort
	next   int // ordinal of the next connection with the id
}

// boot starts a process: all ids are new.
func (o *objectIDs) boot(instance string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.instance, o.made, o.freed = instance, 0, nil
}

// next returns the id of a new connection and its ordinal among the connections
// of the boot that had the id, from 1. The id is new unless it may be reused.
func (o *objectIDs) next(client netip.AddrPort, mayReuse bool) (id string, ordinal int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	var number uint64
	o.made++
	switch o.kind {
	case kindSID:
		if o.rand.IntN(32) == 0 {
			o.made++ // a rule denied a connection, which sent nothing
		}
		number = o.made
	case kindPTR:
		reuse := o.rand.Float64() < o.reuseShare
		number = 0x7F3A4C000000 + 0x12A0*o.made + 0x10*o.rand.Uint64N(16)
		// The allocator returns the address that was freed last. Streams of one QUIC connection share the client's port, so
		// a receiver could not distinguish them if they shared an id.
		if last := len(o.freed) - 1; reuse && mayReuse && last >= 0 && o.freed[last].client != client {
			f := o.freed[last]
			o.freed = o.freed[:last]
			return f.id, f.next
		}
	default:
		// Object ids begin again with nearly the same values after a boot.
		number = 0xFEE9B109FF3D - 7*o.made - o.rand.Uint64N(6)
	}
	return fmt.Sprintf("%s-%s-%X", o.instance, o.kind, number), 1
}

// free allows a later connection to reuse the id of c. It must be certain by then whether the receiver knows c; if it
// does, it must know that c ended.
func (o *objectIDs) free(c *connection, known bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.kind != kindPTR || c.instance != o.instance {
		return
	}
	f := freedID{id: c.id, client: c.script.client, next: c.ordinal}
	if known {
		f.next++
	}
	o.freed = append(o.freed, f)
}
