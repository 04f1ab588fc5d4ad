package fleet

import (
	"container/heap"
	"time"
)

// chore is something a proxy does by itself, beside the deeds of connections.
type chore int

const (
	choreNone chore = iota
	choreArrival
	chorePing
	choreNeighbors
	choreRestart
)

// appointment is a deed of a connection or a chore of the proxy at a time.
type appointment struct {
	at    time.Time
	turn  uint64 // keeps the order of those at one time
	chore chore
	deed  deed
	conn  *connection // nil for a chore
}

// schedule is a heap of appointments.
type schedule struct {
	list  []appointment
	turns uint64
	deeds int // appointments of connections
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
func (s *schedule) Push(x any) { s.list = append(s.list, x.(appointment)) }

// Pop implements heap.Interface; use take.
func (s *schedule) Pop() any {
	last := len(s.list) - 1
	a := s.list[last]
	s.list[last] = appointment{}
	s.list = s.list[:last]
	return a
}

// add makes an appointment.
func (s *schedule) add(a appointment) {
	s.turns++
	a.turn = s.turns
	if a.conn != nil {
		s.deeds++
	}
	heap.Push(s, a)
}

// next is when the first appointment is.
func (s *schedule) next() (time.Time, bool) {
	if len(s.list) == 0 {
		return time.Time{}, false
	}
	return s.list[0].at, true
}

// take removes the first appointment.
func (s *schedule) take() appointment {
	a := heap.Pop(s).(appointment)
	if a.conn != nil {
		s.deeds--
	}
	return a
}

// edit replaces each appointment by what keep makes of it, or drops it.
func (s *schedule) edit(keep func(*appointment) bool) {
	kept := s.list[:0]
	for _, a := range s.list {
		if keep(&a) {
			kept = append(kept, a)
			continue
		}
		if a.conn != nil {
			s.deeds--
		}
	}
	clear(s.list[len(kept):])
	s.list = kept
	heap.Init(s)
}
