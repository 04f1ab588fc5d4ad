package track

import "iter"

// queue is a FIFO queue. All its items wait equally long, so that the order of arrival is the order of deadlines, and no
// heap is needed.
//
// Items are in chunks, so that growing copies nothing and popping frees memory.
type queue[T any] struct {
	chunks [][]T // none is empty; only the last one is appended to
	head   int   // index in the first chunk
	n      int
}

// chunkItems is the length of a chunk.
const chunkItems = 512

func (q *queue[T]) push(item T) {
	last := len(q.chunks) - 1
	if last < 0 || len(q.chunks[last]) == chunkItems {
		q.chunks = append(q.chunks, nil)
		last++
	}
	q.chunks[last] = append(q.chunks[last], item)
	q.n++
}

func (q *queue[T]) len() int { return q.n }

// peek returns the oldest item.
func (q *queue[T]) peek() (item T, ok bool) {
	if q.n == 0 {
		return item, false
	}
	return q.chunks[0][q.head], true
}

// all yields the items, oldest first.
func (q *queue[T]) all() iter.Seq[T] {
	return func(yield func(T) bool) {
		head := q.head
		for _, chunk := range q.chunks {
			for _, item := range chunk[head:] {
				if !yield(item) {
					return
				}
			}
			head = 0
		}
	}
}

// pop removes the oldest item.
func (q *queue[T]) pop() {
	var zero T
	q.chunks[0][q.head] = zero
	q.head++
	q.n--
	if q.head < len(q.chunks[0]) {
		return
	}
	q.head = 0
	q.chunks[0] = nil
	q.chunks = q.chunks[1:]
}
