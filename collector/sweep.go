package collector

import (
	"runtime"
	"time"
)

// sweepEvery is the interval in which expired series are dropped between scrapes.
const sweepEvery = 10 * time.Second

// sweep is the progress through the expiring series of all proxies, in steps that remove the series of at most 100
// values. A fact waits for one step.
type sweep struct {
	left   []*proxy // the last one is next
	family int      // index in its expiring series
}

func (s *sweep) running() bool { return len(s.left) > 0 }

// beginSweep starts a sweep of all proxies.
func (s *Sink) beginSweep(now time.Time) {
	s.sweptAt = now
	s.forgotten.sweep(now)
	clear(s.sweep.left)
	s.sweep = sweep{left: s.sweep.left[:0]}
	for _, p := range s.byLabel {
		s.sweep.left = append(s.sweep.left, p)
	}
}

// sweepStep does the next step, if a sweep is running.
func (s *Sink) sweepStep(now time.Time) {
	if !s.sweep.running() {
		return
	}
	last := len(s.sweep.left) - 1
	p := s.sweep.left[last]
	forgotten := s.byLabel[p.label] != p
	if !forgotten && p.expiring != nil && now.Sub(p.movedAt) >= s.expiry {
		drop(p.expiring)
		p.expiring = nil
	}
	if forgotten || s.sweep.family >= len(p.expiring) {
		s.sweep.left[last] = nil
		s.sweep = sweep{left: s.sweep.left[:last]}
		return
	}
	if !p.expiring[s.sweep.family].sweep(now) {
		s.sweep.family++
	}
}

// sweepAll does a whole sweep, and lets facts in between the steps.
func (s *Sink) sweepAll() {
	s.mu.Lock()
	s.beginSweep(s.now())
	s.mu.Unlock()
	for more := true; more; {
		s.mu.Lock()
		s.sweepStep(s.now())
		more = s.sweep.running()
		s.mu.Unlock()
		runtime.Gosched() // let a fact that waits for the lock continue
	}
}
