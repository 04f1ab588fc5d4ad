package track

import (
	"container/list"
	"time"

	"smithproxy_exporter/exporter/event"
)

// neighbors are the client addresses of one proxy that were seen within the window.
type neighbors struct {
	byAddress map[string]*list.Element
	byAge     *list.List // of *neighbor, the least recently seen in front
	// changed are addresses to be written to the store or removed from it.
	changed map[string]struct{}
}

type neighbor struct {
	address string
	seen    Instant
	// discovered is when the proxy reported it as new, 0 if it did not.
	discovered time.Duration
}

func newNeighbors() neighbors {
	return neighbors{byAddress: map[string]*list.Element{}, byAge: list.New(), changed: map[string]struct{}{}}
}

// neighbor records the addresses of a message. A second report of an address as new within the grace period is a
// repeated delivery.
func (t *Tracker) neighbor(p *proxy, m event.Neighbor, at Instant) {
	for _, address := range m.Addresses {
		if address == "" || len(address) > event.MaxNameBytes {
			continue
		}
		n := p.neighbors.touch(address, at)
		discovered := m.State == event.NeighborNew && (n.discovered == 0 || at.Mono-n.discovered > t.config.Connections.GracePeriod)
		if discovered {
			n.discovered = at.Mono
		}
		t.emit(NeighborSeen{Source: p.source, Address: address, At: n.seen.Time(), Discovered: discovered})
	}
	for p.neighbors.byAge.Len() > t.config.Proxies.MaxNeighbors {
		p.neighbors.dropOldest()
	}
	p.changed = true
}

// expireNeighbors removes up to stepItems addresses that were last seen before the window, and reports whether there may
// be more.
func (t *Tracker) expireNeighbors(p *proxy, now Instant) (more bool) {
	for range stepItems {
		oldest := p.neighbors.byAge.Front()
		if oldest == nil || now.Mono-oldest.Value.(*neighbor).seen.Mono < t.config.Proxies.NeighborWindow {
			return false
		}
		p.neighbors.dropOldest()
		p.changed = true
		t.mark(p)
	}
	return true
}

func (n *neighbors) touch(address string, at Instant) *neighbor {
	n.changed[address] = struct{}{}
	if e, ok := n.byAddress[address]; ok {
		found := e.Value.(*neighbor)
		if at.Mono >= found.seen.Mono {
			found.seen = at
			n.byAge.MoveToBack(e)
		}
		return found
	}
	added := &neighbor{address: address, seen: at}
	n.byAddress[address] = n.byAge.PushBack(added)
	return added
}

func (n *neighbors) dropOldest() {
	oldest := n.byAge.Front()
	address := oldest.Value.(*neighbor).address
	delete(n.byAddress, address)
	n.byAge.Remove(oldest)
	n.changed[address] = struct{}{}
}
