package collector

import "container/heap"

// candidates counts the values that have no series, in bounded memory: Space-Saving (Metwally, Agrawal,
// El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data Streams, 2005). Of a stream of
// n values, each that makes up more than n/size of it is among them.
type candidates[K comparable] struct {
	size    int
	byValue map[K]*candidate[K]
	seldom  seldom[K]
}

// candidate was seen at least count-over times, and at most count times.
type candidate[K comparable] struct {
	value       K
	count, over uint32
	at          int // in the heap
}

func newCandidates[K comparable](size int) candidates[K] {
	return candidates[K]{size: size, byValue: map[K]*candidate[K]{}}
}

// see counts a value, and returns how often it was seen for certain. When there are too many, it takes
// the place of the one that was seen least, and may have been seen as often as that.
func (c *candidates[K]) see(value K) uint32 {
	known, ok := c.byValue[value]
	switch {
	case ok:
		known.count++
		heap.Fix(&c.seldom, known.at)
	case len(c.seldom) < c.size:
		known = &candidate[K]{value: value, count: 1}
		c.byValue[value] = known
		heap.Push(&c.seldom, known)
	default:
		known = c.seldom[0]
		delete(c.byValue, known.value)
		c.byValue[value] = known
		known.value, known.over = value, known.count
		known.count++
		heap.Fix(&c.seldom, 0)
	}
	return known.count - known.over
}

func (c *candidates[K]) remove(value K) {
	if known, ok := c.byValue[value]; ok {
		heap.Remove(&c.seldom, known.at)
		delete(c.byValue, value)
	}
}

// halve makes what was seen long ago count less.
func (c *candidates[K]) halve() {
	for _, each := range c.seldom {
		each.count /= 2
		each.over /= 2
	}
	for len(c.seldom) > 0 && c.seldom[0].count == 0 {
		delete(c.byValue, c.seldom[0].value)
		heap.Pop(&c.seldom)
	}
}

// seldom is a heap with the candidate that was seen least in front.
type seldom[K comparable] []*candidate[K]

func (s seldom[K]) Len() int           { return len(s) }
func (s seldom[K]) Less(i, j int) bool { return s[i].count < s[j].count }
func (s seldom[K]) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].at, s[j].at = i, j
}

func (s *seldom[K]) Push(x any) {
	added := x.(*candidate[K])
	added.at = len(*s)
	*s = append(*s, added)
}

func (s *seldom[K]) Pop() any {
	last := len(*s) - 1
	popped := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	return popped
}
