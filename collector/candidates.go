package collector

import "container/heap"

// candidates counts the values that have no slot, in bounded memory: Space-Saving (Metwally, Agrawal,
// El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data Streams, 2005). Of a stream of
// n values, each that makes up more than n/size of it is among them.
type candidates[K comparable] struct {
	size    int
	byValue map[K]*candidate[K]
	heap    minHeap[K] // the lowest count first
}

// candidate is a value that was seen at least count-over times and at most count times.
type candidate[K comparable] struct {
	value       K
	count, over uint32
	at          int // index in the heap
}

func newCandidates[K comparable](size int) candidates[K] {
	return candidates[K]{size: size, byValue: map[K]*candidate[K]{}}
}

// see counts a value, and returns a lower bound of how often it was seen. If there are too many values, it replaces the
// one with the lowest count.
func (c *candidates[K]) see(value K) uint32 {
	known, ok := c.byValue[value]
	switch {
	case ok:
		known.count++
		heap.Fix(&c.heap, known.at)
	case len(c.heap) < c.size:
		known = &candidate[K]{value: value, count: 1}
		c.byValue[value] = known
		heap.Push(&c.heap, known)
	default:
		known = c.heap[0]
		delete(c.byValue, known.value)
		c.byValue[value] = known
		known.value, known.over = value, known.count
		known.count++
		heap.Fix(&c.heap, 0)
	}
	return known.count - known.over
}

func (c *candidates[K]) remove(value K) {
	if known, ok := c.byValue[value]; ok {
		heap.Remove(&c.heap, known.at)
		delete(c.byValue, value)
	}
}

// halve halves all counts, so that old values count less.
func (c *candidates[K]) halve() {
	for _, each := range c.heap {
		each.count /= 2
		each.over /= 2
	}
	for len(c.heap) > 0 && c.heap[0].count == 0 {
		delete(c.byValue, c.heap[0].value)
		heap.Pop(&c.heap)
	}
}

// minHeap implements heap.Interface, with the candidate of the lowest count in front.
type minHeap[K comparable] []*candidate[K]

func (h minHeap[K]) Len() int           { return len(h) }
func (h minHeap[K]) Less(i, j int) bool { return h[i].count < h[j].count }
func (h minHeap[K]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *minHeap[K]) Push(x any) {
	added := x.(*candidate[K])
	added.at = len(*h)
	*h = append(*h, added)
}

func (h *minHeap[K]) Pop() any {
	last := len(*h) - 1
	popped := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return popped
}
