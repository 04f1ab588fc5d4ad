package track

import (
	"container/heap"
	"time"
)

// deadlines is a priority queue of connections by their next deadline. A connection has at most one entry. Extending a
// deadline does not move the entry: the connection is woken too early, and set again.
type deadlines struct{ heap []*Connection }

// set makes pop return the connection at the given time or earlier.
func (d *deadlines) set(c *Connection, at time.Duration) {
	switch {
	case c.wakeIndex == 0:
		c.wakeAt = at
		heap.Push((*byWake)(d), c)
	case at < c.wakeAt:
		c.wakeAt = at
		heap.Fix((*byWake)(d), int(c.wakeIndex)-1)
	}
}

func (d *deadlines) remove(c *Connection) {
	if c.wakeIndex != 0 {
		heap.Remove((*byWake)(d), int(c.wakeIndex)-1)
	}
}

// pop removes and returns a connection that is due.
func (d *deadlines) pop(now time.Duration) (c *Connection, ok bool) {
	if len(d.heap) == 0 || d.heap[0].wakeAt > now {
		return nil, false
	}
	return heap.Pop((*byWake)(d)).(*Connection), true
}

// byWake implements heap.Interface. Connection.wakeIndex is the index plus 1; 0 means that it is not in the heap.
type byWake deadlines

func (h *byWake) Len() int           { return len(h.heap) }
func (h *byWake) Less(i, j int) bool { return h.heap[i].wakeAt < h.heap[j].wakeAt }
func (h *byWake) Swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	h.heap[i].wakeIndex, h.heap[j].wakeIndex = int32(i+1), int32(j+1)
}

func (h *byWake) Push(x any) {
	c := x.(*Connection)
	h.heap = append(h.heap, c)
	c.wakeIndex = int32(len(h.heap))
}

func (h *byWake) Pop() any {
	last := len(h.heap) - 1
	c := h.heap[last]
	h.heap[last] = nil
	h.heap = h.heap[:last]
	c.wakeIndex = 0
	return c
}
