package track

import (
	"container/list"
	"time"

	"smithproxy_exporter/exporter/event"
)

// neighbors are the client addresses of one proxy that were seen within the window.
type neighbors struct {
	byAddress map[string]*list.Element
	byAge     *list.List // of *neighbor, the one seen longest ago in front
	reported  int
}

type neighbor struct {
	address string
	seenAt  time.Time
	newAt   time.Time // when the proxy called it new
}

func newNeighbors() neighbors {
	return neighbors{byAddress: map[string]*list.Element{}, byAge: list.New()}
}

// neighbor records one message's addresses. An address that is called new again within the linger is
// a repeated delivery, and was discovered once.
func (t *Tracker) neighbor(p *proxy, m event.Neighbor, at time.Time) {
	for _, address := range m.Addresses {
		if address == "" || len(address) > event.MaxNameBytes {
			continue
		}
		n := p.neighbors.touch(address, at)
		discovered := m.State == event.NeighborNew && (n.newAt.IsZero() || at.Sub(n.newAt) > t.opts.Linger)
		if discovered {
			n.newAt = at
		}
		t.emit(NeighborSeen{Source: p.source, Address: address, At: n.seenAt, Discovered: discovered})
	}
	for p.neighbors.byAge.Len() > t.opts.MaxNeighbors {
		p.neighbors.dropOldest()
	}
	t.reportNeighbors(p)
}

func (t *Tracker) expireNeighbors(p *proxy, now time.Time) {
	for {
		oldest := p.neighbors.byAge.Front()
		if oldest == nil || now.Sub(oldest.Value.(*neighbor).seenAt) < t.opts.NeighborWindow {
			break
		}
		p.neighbors.dropOldest()
	}
	t.reportNeighbors(p)
}

func (t *Tracker) reportNeighbors(p *proxy) {
	if count := p.neighbors.byAge.Len(); count != p.neighbors.reported {
		p.neighbors.reported = count
		t.emit(NeighborsAlive{Source: p.source, Count: count})
	}
}

func (n *neighbors) touch(address string, at time.Time) *neighbor {
	if e, ok := n.byAddress[address]; ok {
		found := e.Value.(*neighbor)
		if at.After(found.seenAt) {
			found.seenAt = at
			n.byAge.MoveToBack(e)
		}
		return found
	}
	added := &neighbor{address: address, seenAt: at}
	n.byAddress[address] = n.byAge.PushBack(added)
	return added
}

func (n *neighbors) dropOldest() {
	oldest := n.byAge.Front()
	delete(n.byAddress, oldest.Value.(*neighbor).address)
	n.byAge.Remove(oldest)
}
