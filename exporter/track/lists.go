package track

import (
	"time"

	"smithproxy_exporter/exporter/event"
)

// lists compares the lists in the pings of a proxy with the open connections, in steps, because a list can have 100,000
// ids. A connection that is missing from a list is closed only if an earlier list had it: some connections are never
// listed (HTTP CONNECT, SOCKS UDP, QUIC streams), and new ones not yet.
type lists struct {
	number  uint32 // of the latest list that was started
	running bool
	next    *listTask // the latest list, while another one is compared
	early   early
}

// listPause is the least time between two lists that count as two. A proxy that got no answer repeats a ping at once.
const listPause = time.Second

// listTask compares one list: first the ids that it has, then the connections that it lacks.
type listTask struct {
	p        *proxy
	instance string
	at       Instant
	number   uint32
	open     []string
	sessions []event.OpenSession // of a full list
	serial   uint64
}

// listed starts the comparison of a list, or queues it.
func (t *Tracker) listed(p *proxy, m event.Ping, at Instant) {
	task := &listTask{p: p, instance: m.Instance, at: at, open: m.Open, sessions: m.Sessions}
	if p.lists.running {
		p.lists.next = task
		return
	}
	t.beginList(task)
}

func (t *Tracker) beginList(task *listTask) {
	lists := &task.p.lists
	lists.running = true
	lists.number++
	task.number = lists.number
	lists.early.expire(task.at.Mono - t.config.Connections.GracePeriod)
	t.schedule(task)
}

// stepItems bounds the connections that one step of a task handles. A step takes well below a millisecond.
const stepItems = 256

func (l *listTask) step(t *Tracker, at Instant) (more bool) {
	switch {
	case l.instance != l.p.instance: // the proxy restarted meanwhile
	case len(l.open) > 0:
		n := min(len(l.open), stepItems)
		for _, id := range l.open[:n] {
			l.present(t, id)
		}
		l.open = l.open[n:]
		return true
	case len(l.sessions) > 0:
		n := min(len(l.sessions), stepItems)
		for _, open := range l.sessions[:n] {
			if _, known := l.p.conns.latest[open.ID]; !known && event.Instance(open.ID) == l.instance {
				t.adopting = append(t.adopting, Adoptable{l.p.source, open.ID, open.Session, l.p, l.at, l.number})
			}
		}
		l.sessions = l.sessions[n:]
		return true
	case t.walk(l.p, &l.serial, func(c *Connection) { l.absent(t, c, at) }):
		return true
	}
	lists := &l.p.lists
	lists.running = false
	if next := lists.next; next != nil {
		lists.next = nil
		t.beginList(next)
	}
	return false
}

// present handles an id on the list.
func (l *listTask) present(t *Tracker, id string) {
	c, ok := l.p.conns.latest[id]
	if !ok {
		if _, over := t.pasts.get(l.p.source, id); !over {
			l.p.lists.early.add(id, earlyID{l.at, l.number})
		}
		return
	}
	c.list, c.missed = l.number, 0
	c.alive = later(c.alive, l.at)
	if !c.listed {
		c.listed = true
		t.touch(c)
	}
	if c.State == StateClosing {
		t.move(l.p, c, inListed, l.at)
	}
}

// absent handles a connection that is not on the list. If it is missing from two lists in a row, it is closed.
func (l *listTask) absent(t *Tracker, c *Connection, at Instant) {
	if c.State != StateOpen || !c.listed || c.list == l.number || c.Instance() != l.instance || c.first.Mono > l.at.Mono {
		return
	}
	switch {
	case c.missed == 0:
		c.missed = l.at.Mono
	case l.at.Mono-c.missed >= listPause:
		t.move(l.p, c, inAbsent, at)
	}
}
