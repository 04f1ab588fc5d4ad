package webhook

import (
	"container/list"
	"errors"
	"net"
	"slices"
	"sync"
	"time"
)

// errNoTurn is returned when a handshake could not be computed in time.
var errNoTurn = errors.New("too many TLS handshakes at once")

// turns bounds the TLS handshakes that are computed at once: a handshake takes as much CPU time as many requests, and
// needs no secret. The clients of those that wait take turns. Of one client the latest handshake is first, because the
// client has given up the others when there are more than can be computed. It is safe for concurrent use.
type turns struct {
	mu   sync.Mutex
	free int
	// waiting are the clients with handshakes that wait, the next one first; lines has the same ones.
	waiting list.List // of *line
	lines   map[*client]*list.Element
}

// line has the handshakes of a client that wait.
type line struct {
	client *client
	turns  []*turn
}

// turn is the right of one handshake to be computed. Its fields belong to the lock of turns.
type turn struct {
	of      *turns
	client  *client
	state   turnState
	granted chan struct{} // closed when it does not wait any more; nil if it did not have to
}

type turnState uint8

const (
	turnWaits turnState = iota
	turnRuns
	turnOver
)

func newTurns(n int) *turns { return &turns{free: n, lines: map[*client]*list.Element{}} }

// take returns a turn, which may have to wait.
func (t *turns) take(c *client) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := &turn{of: t, client: c}
	if t.free > 0 { // then none waits
		t.free--
		taken.state = turnRuns
		return taken
	}
	taken.granted = make(chan struct{})
	e, ok := t.lines[c]
	if !ok {
		e = t.waiting.PushBack(&line{client: c})
		t.lines[c] = e
	}
	l := e.Value.(*line)
	l.turns = append(l.turns, taken)
	return taken
}

// wait returns once it is the turn. It returns errNoTurn if that takes too long, net.ErrClosed if the turn was ended.
func (t *turn) wait(timeout time.Duration) error {
	if t.granted == nil {
		return nil
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-t.granted:
	case <-timer.C:
		t.end()
		return errNoTurn
	}
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	if t.state == turnOver {
		return net.ErrClosed
	}
	return nil
}

// end lets the next handshake have its turn, or stops waiting. Further calls do nothing.
func (t *turn) end() {
	t.stopWaiting()
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	if t.state == turnRuns {
		t.state = turnOver
		t.of.next()
	}
}

// stopWaiting ends the turn if it waits.
func (t *turn) stopWaiting() {
	t.of.mu.Lock()
	defer t.of.mu.Unlock()
	if t.state == turnWaits {
		t.state = turnOver
		t.of.leave(t)
		close(t.granted)
	}
}

// next gives a turn to the next handshake. The lock is held.
func (t *turns) next() {
	e := t.waiting.Front()
	if e == nil {
		t.free++
		return
	}
	l := e.Value.(*line)
	latest := l.turns[len(l.turns)-1]
	t.waiting.MoveToBack(e)
	t.leave(latest)
	latest.state = turnRuns
	close(latest.granted)
}

// leave takes a turn off its line. The lock is held.
func (t *turns) leave(left *turn) {
	e := t.lines[left.client]
	l := e.Value.(*line)
	if last := len(l.turns) - 1; l.turns[last] == left {
		l.turns[last] = nil
		l.turns = l.turns[:last]
	} else {
		i := slices.Index(l.turns, left)
		l.turns = slices.Delete(l.turns, i, i+1)
	}
	if len(l.turns) == 0 {
		t.waiting.Remove(e)
		delete(t.lines, left.client)
	}
}
