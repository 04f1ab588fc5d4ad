package fleet

import (
	"encoding/json"
	"sync/atomic"
	"time"
)

// connection is a script being played.
type connection struct {
	id       string
	ordinal  int // among the connections of the boot with this id, from 1
	instance string
	script   *script

	// pending counts its timers and its events on their way; at zero
	// nothing more can happen to it.
	pending atomic.Int32
	// uncertain: a delivery failed without telling whether the receiver has it.
	uncertain atomic.Bool
	// stopTold: the receiver acknowledged the stop.
	stopTold atomic.Bool

	// Owned by the scheduler until pending is zero.
	asked    bool
	verdict  string
	decision string // what the receiver answered, even if the answer was lost
	echo     json.RawMessage
	rejected bool
	blocked  bool // its access-request failed, and the proxy fails closed
	leftOpen bool
	freed    bool // a later connection may have the id
	killed   bool // by a restart
	planned  bool // which was a SIGTERM
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

// denied says whether the proxy let nothing of the connection pass.
func (c *connection) denied() bool { return c.rejected || c.blocked }

// newConnection makes a proxy object.
func (p *proxy) newConnection(s *script) *connection {
	c := &connection{instance: p.instanceNow(), script: s, listIndex: -1}
	c.id, c.ordinal = p.ids.next(s.client, s.labelsInfo(p.form))
	c.pending.Store(1) // held by the caller
	p.live.started.Add(1)
	p.ledger.with(func(t *Totals) { t.Connections++ })
	return c
}

// open plays the first part of a connection: up to the start, with the
// access-request of a transparent one before it.
func (p *proxy) open(s *script) {
	c := p.newConnection(s)
	defer p.release(c)
	if s.mode == Transparent && s.asks {
		p.ask(c)
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

// openUnclosed opens a connection that nothing closes until the end of the run.
func (p *proxy) openUnclosed() {
	s := p.traffic.ordinary()
	c := p.newConnection(s)
	c.leftOpen = true
	p.announce(s)
	if s.listable() {
		p.presence.add(c, time.Now())
	}
	p.perform(c, opStart)
	p.archive.keep(c) // which now holds it
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
			p.askAll(c)
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
			// The destructor queues the info, and then the address is free. Events of
			// the next connection with the id can arrive before the info, and before a
			// start that is late.
			p.free(c, true)
		}
	}
}

// free lets a later connection have the id, unless the receiver could mistake one
// for the other.
func (p *proxy) free(c *connection, known bool) {
	// The lists may go on holding a UDP connection after its stop.
	if c.freed || c.script.lingers > 0 || c.uncertain.Load() || !c.script.labelsInfo(p.form) {
		return
	}
	c.freed = true
	p.ids.free(c, known)
}

// end takes a connection out of the lists.
func (p *proxy) end(c *connection, now time.Time) {
	if !c.ended {
		p.live.finished.Add(1)
		p.presence.remove(c, now)
	}
}

// push hands a connection's event to the pool.
func (p *proxy) push(c *connection, e event) {
	c.pending.Add(1)
	e.conn, e.timeout = c, p.cfg.Timeout
	p.enqueue(e)
}

// release ends one use of a connection. The last one closes its record.
func (p *proxy) release(c *connection) {
	if c.pending.Add(-1) == 0 {
		p.archive.conclude(p, c)
	}
}
