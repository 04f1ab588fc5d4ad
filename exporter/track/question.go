package track

import (
	"time"

	"smithproxy_exporter/exporter/event"
)

// question is whether a proxy has to be asked for all that is open. Asking costs it two more events,
// so there must be a reason: the exporter was started, the proxy was, or nothing could be received
// for a while.
type question struct {
	due     bool
	askedAt time.Time // zero before the first time
}

// askPause is how long a proxy is left alone after it was asked.
const askPause = time.Minute

// ask reports whether the proxy shall be asked now, and notes that it was.
func (q *question) ask(at time.Time) bool {
	if !q.due || !q.askedAt.IsZero() && at.Sub(q.askedAt) < askPause {
		return false
	}
	q.due, q.askedAt = false, at
	return true
}

// takeOver makes records of the connections that a full list names and that nothing was received of:
// they began when nobody listened.
func (t *Tracker) takeOver(p *proxy, m event.Ping, at time.Time) {
	for _, open := range m.Sessions {
		if event.Instance(open.ID) != m.Instance {
			continue
		}
		if _, finished := p.finished.byID[open.ID]; finished {
			continue
		}
		if _, known := p.conns.get(open.ID); known {
			continue
		}
		c := t.record(p, open.ID, m.Instance)
		c.firstAt, c.listed = at, true
		p.conns.relabel(c, func() { c.setLabel(open.Session, rankList, t.opts.Limits) })
		t.claimDecision(p, c)
		t.activate(p, c)
		t.emit(TakenOver{c})
	}
}

// Resume tells the tracker that nothing could be received for a while, until now: the exporter was
// not running, or was stopped. What can still come has its whole time again, a proxy is not silent for
// not having been heard, and is to be asked for what is open.
func (t *Tracker) Resume(now time.Time) {
	t.resumedAt = now
	for _, p := range t.byAge {
		p.question.due = true
		for c := range p.conns.all() {
			if !c.dueAt.IsZero() {
				t.linger(c, now)
			}
		}
	}
}

// Introduce tells what is known of each proxy to sinks that have not seen how it came to be known, as
// after a start of the exporter.
func (t *Tracker) Introduce() {
	for _, p := range t.byAge {
		t.emit(ProxyAppeared{Source: p.source})
		t.emit(Restored{Source: p.source, Instance: p.instance, PingedAt: p.pingedAt, Silent: p.silent})
		t.emit(ConnectionsActive{Source: p.source, Count: p.active})
		for e := p.neighbors.byAge.Front(); e != nil; e = e.Next() {
			n := e.Value.(*neighbor)
			t.emit(NeighborSeen{Source: p.source, Address: n.address, At: n.seenAt})
		}
		t.emit(NeighborsAlive{Source: p.source, Count: p.neighbors.byAge.Len()})
	}
}
