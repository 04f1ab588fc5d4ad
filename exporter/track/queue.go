package track

import "iter"

// queue is a FIFO. Whatever waits in this package waits equally long, so that the order of arrival
// is the order of falling due, and no timer or heap is needed.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) push(item T) { q.items = append(q.items, item) }

func (q *queue[T]) len() int { return len(q.items) - q.head }

// peek returns the oldest item.
func (q *queue[T]) peek() (item T, ok bool) {
	if q.len() == 0 {
		return item, false
	}
	return q.items[q.head], true
}

// all yields the items, oldest first.
func (q *queue[T]) all() iter.Seq[T] {
	return func(yield func(T) bool) {
		for _, item := range q.items[q.head:] {
			if !yield(item) {
				return
			}
		}
	}
}

// pop drops the oldest item. Its memory is given back by and by.
func (q *queue[T]) pop() {
	var zero T
	q.items[q.head] = zero
	q.head++
	const small = 64
	if q.head < small || q.head*2 < len(q.items) {
		return
	}
	q.items = append(make([]T, 0, q.len()+small), q.items[q.head:]...)
	q.head = 0
}
