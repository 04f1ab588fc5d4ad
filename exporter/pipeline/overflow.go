package pipeline

import "sync"

// maxOverflow bounds the decisions that wait because the queue is full.
const maxOverflow = queueLength

// overflow are decisions that wait because the queue is full. One goroutine puts them into the queue.
type overflow struct {
	mu      sync.Mutex
	waiting []item
	moving  bool           // whether the goroutine runs
	moved   sync.WaitGroup // done when it does not
}

// add lets an item wait for room in the queue, and reports false if too many wait already. It does not block.
func (o *overflow) add(it item, queue chan<- item) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting) >= maxOverflow {
		return false
	}
	o.waiting = append(o.waiting, it)
	if !o.moving {
		o.moving = true
		o.moved.Go(func() { o.move(queue) })
	}
	return true
}

// move puts waiting items into the queue until none waits.
func (o *overflow) move(queue chan<- item) {
	for {
		o.mu.Lock()
		if len(o.waiting) == 0 {
			o.waiting, o.moving = nil, false
			o.mu.Unlock()
			return
		}
		it := o.waiting[0]
		o.waiting[0] = item{}
		o.waiting = o.waiting[1:]
		o.mu.Unlock()
		queue <- it
	}
}
