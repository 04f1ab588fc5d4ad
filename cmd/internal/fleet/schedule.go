package fleet

import (
	"container/heap"
	"time"
)

// task is an action of a proxy that belongs to no connection.
type task int

const (
	taskNone task = iota
	taskArrival
	taskPing
	taskNeighbors
	taskRestart
)

// timer is an operation of a connection, or a task of the proxy, with the time at which it is due.
type timer struct {
	at   time.Time
	turn uint64 // orders timers with equal times
	task task
	op   op
	conn *connection // nil for a task
}

// schedule is a heap of timers.
type schedule struct {
	list       []timer
	turns      uint64
	connTimers int // timers of connections
}

func (s *schedule) Len() int { return len(s.list) }
func (s *schedule) Less(i, j int) bool {
	a, b := &s.list[i], &s.list[j]
	if a.at.Equal(b.at) {
		return a.turn < b.turn
	}
	return a.at.Before(b.at)
}
func (s *schedule) Swap(i, j int) { s.list[i], s.list[j] = s.list[j], s.list[i] }

// Push implements heap.Interface; use add.
func (s *schedule) Push(x any) { s.list = append(s.list, x.(timer)) }

// Pop implements heap.Interface; use take.
func (s *schedule) Pop() any {
	last := len(s.list) - 1
	a := s.list[last]
	s.list[last] = timer{}
	s.list = s.list[:last]
	return a
}

// add starts a timer.
func (s *schedule) add(a timer) {
	s.turns++
	a.turn = s.turns
	if a.conn != nil {
		s.connTimers++
	}
	heap.Push(s, a)
}

// next returns when the first timer is due.
func (s *schedule) next() (time.Time, bool) {
	if len(s.list) == 0 {
		return time.Time{}, false
	}
	return s.list[0].at, true
}

// take removes the first timer.
func (s *schedule) take() timer {
	a := heap.Pop(s).(timer)
	if a.conn != nil {
		s.connTimers--
	}
	return a
}

// edit calls keep for each timer, which may change it, and removes those for which it returns false.
func (s *schedule) edit(keep func(*timer) bool) {
	kept := s.list[:0]
	for _, a := range s.list {
		if keep(&a) {
			kept = append(kept, a)
			continue
		}
		if a.conn != nil {
			s.connTimers--
		}
	}
	clear(s.list[len(kept):])
	s.list = kept
	heap.Init(s)
}
