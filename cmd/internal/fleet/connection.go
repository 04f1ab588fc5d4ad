package fleet

import (
	"encoding/json"
	"sync/atomic"
	"time"
)

// connection is a simulated connection, which follows a script.
type connection struct {
	id       string
	ordinal  int // among the connections of the boot with this id, from 1
	instance string
	script   *script

	// pending counts its timers and its events in flight. At zero its record can be closed.
	pending atomic.Int32
	// uncertain: it is unknown whether the receiver got a delivery that failed.
	uncertain atomic.Bool
	// stopTold: the receiver acknowledged the stop.
	stopTold atomic.Bool

	// Owned by the scheduler until pending is zero.
	asked    bool
	verdict  string
	decision string // the receiver's verdict, even if the answer was lost
	echo     json.RawMessage
	rejected bool
	blocked  bool // its access-request failed, and the proxy fails closed
	leftOpen bool
	freed    bool // a later connection may reuse the id
	killed   bool // ended by a restart
	planned  bool // the restart was a SIGTERM
	access   *Delivery
	start    *Delivery
	stop     *Delivery
	info     *Delivery

	// Guarded by presence.mu.
	listIndex   int
	listed      time.Time
	ended       bool
	endedAtList uint64
	everListed  bool // by a list that the receiver acknowledged
}

// denied reports whether the proxy blocked the connection.
func (c *connection) denied() bool { return c.rejected || c.blocked }

// newConnection creates a connection. The caller must release it.
func (p *proxy) newConnection(s *script) *connection {
	c := &connection{instance: p.instanceNow(), script: s, listIndex: -1}
	c.id, c.ordinal = p.ids.next(s.client, s.labelsInfo(p.form))
	c.pending.Store(1) // held by the caller
	p.live.started.Add(1)
	p.ledger.with(func(t *Totals) { t.Connections++ })
	return c
}

// open runs the first part of a connection, up to the start. The access-request of a transparent one comes before.
func (p *proxy) open(s *script) {
	c := p.newConnection(s)
	defer p.release(c)
	if s.mode == Transparent && s.asks {
		p.requestAccess(c)
	}
	if !c.denied() || s.mode != Transparent || p.behavior.announcesDenied {
		p.announce(s)
	}
	now := time.Now()
	if c.denied() {
		p.end(c, now)
		p.startTimers(c, now, s.rejection(p.cfg.InfoDelayMax))
		return
	}
	if s.mode == Transparent && s.listable() {
		p.presence.add(c, now.Add(s.listedAfter))
	}
	p.startTimers(c, now, s.opening())
}

// startTimers starts the timers of a connection's steps. A start that is due now is
// sent without a timer.
func (p *proxy) startTimers(c *connection, now time.Time, steps []step) {
	for _, st := range steps {
		if st.after == 0 && st.op == opStart {
			p.perform(c, st.op)
			continue
		}
		p.startTimer(c, now, st)
	}
}

// openUnclosed opens a connection that stays open until the end of the run.
func (p *proxy) openUnclosed() {
	s := p.traffic.ordinary()
	c := p.newConnection(s)
	c.leftOpen = true
	p.announce(s)
	if s.listable() {
		p.presence.add(c, time.Now())
	}
	p.perform(c, opStart)
	p.archive.keep(c) // which releases it
}

// perform does one operation of a connection.
func (p *proxy) perform(c *connection, d op) {
	s := c.script
	now := time.Now()
	switch d {
	case opStart:
		c.start = &Delivery{Events: 1}
		p.push(c, event{action: ActionStart, body: s.startMessage(p.source, c.id), tries: s.start, delivery: c.start})
	case opNegotiated:
		if s.asks {
			p.requestAccessAll(c)
		}
		now = time.Now()
		if c.denied() {
			p.end(c, now)
			p.startTimers(c, now, s.rejection(p.cfg.InfoDelayMax))
			return
		}
		if s.listable() {
			p.presence.add(c, now.Add(s.listedAfter))
		}
		p.startTimers(c, now, s.closing())
	case opContent:
		for _, m := range s.content {
			// Synchronous, as the answer may change the data.
			p.deliver(p.sendContext, event{
				action: ActionContent, body: s.contentMessage(p.source, c.id, m), timeout: p.cfg.Timeout,
			})
		}
	case opStop:
		p.end(c, now)
		if s.lostStop || s.silentEnd {
			return // it cannot be encoded, or the proxy sends none
		}
		c.stop = &Delivery{Events: 1}
		p.push(c, event{action: ActionStop, body: s.stopMessage(p.form, p.source, c.id), tries: s.stop, delivery: c.stop})
	case opInfo:
		p.end(c, now) // if the stop is late
		c.info = &Delivery{Events: 1}
		p.push(c, event{
			action: ActionInfo, tries: s.info, delivery: c.info,
			body: s.infoMessage(p.form, p.source, c.id, c.echo, c.denied()),
		})
		if c.stopTold.Load() {
			// The destructor queues the info, and then the address is free. Events of the next connection with the id can
			// arrive before the info, and before a delayed start.
			p.free(c, true)
		}
	}
}

// free allows a later connection to reuse the id, unless the receiver could confuse the two.
func (p *proxy) free(c *connection, known bool) {
	// Lists can have a UDP connection after its stop.
	if c.freed || c.script.staysListed > 0 || c.uncertain.Load() || !c.script.labelsInfo(p.form) {
		return
	}
	c.freed = true
	p.ids.free(c, known)
}

// end removes a connection from the lists.
func (p *proxy) end(c *connection, now time.Time) {
	if !c.ended {
		p.live.finished.Add(1)
		p.presence.remove(c, now)
	}
}

// push queues an event of a connection.
func (p *proxy) push(c *connection, e event) {
	c.pending.Add(1)
	e.conn, e.timeout = c, p.cfg.Timeout
	p.enqueue(e)
}

// release undoes one increment of pending. At zero it closes the record.
func (p *proxy) release(c *connection) {
	if c.pending.Add(-1) == 0 {
		p.archive.conclude(p, c)
	}
}
