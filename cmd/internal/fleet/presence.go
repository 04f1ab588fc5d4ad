package fleet

import (
	"sync"
	"time"
)

// presence has the connections that pings list: those with a client and a server side. The scheduler changes it, the
// threads read it.
type presence struct {
	mu      sync.Mutex
	open    []*connection // indexed by connection.listIndex
	stopped []*connection // stopped, but still listed for a while
	lists   uint64        // number of lists so far
	// acked are the two highest numbers of acknowledged lists, which tell whether two of them followed the end of a
	// connection.
	acked [2]uint64
}

// add lists a connection from the given time on.
func (p *presence) add(c *connection, from time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.listed, c.listIndex = from, len(p.open)
	p.open = append(p.open, c)
}

// remove removes a connection from the lists, after script.staysListed.
func (p *presence) remove(c *connection, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.listIndex >= 0 {
		last := len(p.open) - 1
		p.open[c.listIndex] = p.open[last]
		p.open[c.listIndex].listIndex = c.listIndex
		p.open[last] = nil
		p.open = p.open[:last]
		c.listIndex = -1
		if c.script.staysListed > 0 {
			c.listed = now.Add(c.script.staysListed)
			p.stopped = append(p.stopped, c)
		}
	}
	c.endedAtList, c.ended = p.lists, true
}

// clear removes all connections, at the end of a process, and returns the open ones.
func (p *presence) clear() []*connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	open := p.open
	for _, c := range open {
		c.listIndex = -1
	}
	p.open, p.stopped = nil, nil
	return open
}

// listing is the list in one ping.
type listing struct {
	number    uint64 // from 1
	ids, plus []string
	listed    []*connection
}

// list returns the list for a ping. plus, the list with labels, is only built if labels is set.
func (p *presence) list(now time.Time, labels bool) listing {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lists++
	l := listing{number: p.lists}
	put := func(c *connection) {
		l.ids = append(l.ids, c.id)
		l.listed = append(l.listed, c)
		if labels {
			l.plus = append(l.plus, c.id+"="+c.script.stopLabel())
		}
	}
	for _, c := range p.open {
		if !c.listed.After(now) { // one that has just been accepted may be missing
			put(c)
		}
	}
	kept := p.stopped[:0]
	for _, c := range p.stopped {
		if c.listed.After(now) {
			put(c)
			kept = append(kept, c)
			c.endedAtList = l.number // this list still has it
		}
	}
	clear(p.stopped[len(kept):])
	p.stopped = kept
	return l
}

// acknowledged records that the receiver acknowledged the list with the number and the given connections.
func (p *presence) acknowledged(number uint64, listed []*connection) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range listed {
		c.everListed = true
	}
	switch {
	case number > p.acked[0]:
		p.acked = [2]uint64{number, p.acked[0]}
	case number > p.acked[1]:
		p.acked[1] = number
	}
}

// since returns the number of acknowledged lists that were built after the connection ended, up to 2.
func (p *presence) since(c *connection) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, number := range p.acked {
		if c.ended && number > c.endedAtList {
			n++
		}
	}
	return n
}

// wasListed reports whether the receiver acknowledged a list with the
// connection.
func (p *presence) wasListed(c *connection) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return c.everListed
}

// neighbors are the client addresses that a proxy knows. They survive its restarts.
type neighbors struct {
	mu    sync.Mutex
	known map[string]struct{}
	order []string
	// active are those with traffic since the last update.
	active map[string]struct{}
}

// seen records traffic of an address, and reports whether it is new.
func (n *neighbors) seen(address string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.active[address] = struct{}{}
	if _, ok := n.known[address]; ok {
		return false
	}
	n.known[address] = struct{}{}
	n.order = append(n.order, address)
	return true
}

// all returns all known addresses. The caller must not change the slice.
func (n *neighbors) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.order[:len(n.order):len(n.order)]
}

// takeActive returns the known addresses with traffic since the last call.
func (n *neighbors) takeActive() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	active := make([]string, 0, len(n.active))
	for _, a := range n.order {
		if _, ok := n.active[a]; ok {
			active = append(active, a)
		}
	}
	clear(n.active)
	return active
}
