package fleet

import (
	"bytes"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"
)

// connection is a script being played.
type connection struct {
	id       string
	instance string
	script   *script

	// pending counts its timers and its events on their way; at zero
	// nothing more can happen to it.
	pending atomic.Int32

	// Only the scheduler touches these until nothing is pending.
	asked    bool
	verdict  string
	echo     json.RawMessage
	rejected bool
	leftOpen bool
	killed   bool // by a restart
	access   *Delivery
	start    *Delivery
	stop     *Delivery
	info     *Delivery

	// Guarded by the presence's lock.
	listIndex   int
	listed      time.Time
	ended       bool
	endedAtList uint64
}

// Verdicts of access-request.
const (
	verdictAccept = "accept"
	verdictReject = "reject"
	verdictFailed = "failed" // no usable answer: the connection passes
)

// newConnection makes a proxy object. Object ids begin again with nearly the
// same values after a boot, as addresses in memory do.
func (p *proxy) newConnection(s *script) *connection {
	p.object++
	oid := 0xFEE9B109FF3D - 7*p.object - p.daemon.Uint64N(6)
	c := &connection{
		id:       fmt.Sprintf("%s-OID-%X", p.instanceNow(), oid),
		instance: p.instanceNow(), script: s, listIndex: -1,
	}
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
	p.greet(s)
	now := time.Now()
	if c.rejected {
		p.end(c, now)
		p.startTimers(c, now, s.rejection(p.cfg.InfoDelayMax))
		return
	}
	if s.mode == Transparent {
		p.presence.add(c, now.Add(s.listedAfter))
	}
	p.startTimers(c, now, s.opening())
}

// startTimers starts the timers of a connection's steps. A start that is due at once is done at
// once.
func (p *proxy) startTimers(c *connection, now time.Time, steps []step) {
	for _, st := range steps {
		if st.after == 0 && st.op == opStart {
			p.perform(c, st.op)
			continue
		}
		p.startTimer(c, now, st)
	}
}

// openForGood opens a connection that nothing will close.
func (p *proxy) openForGood() {
	s := p.traffic.ordinary()
	c := p.newConnection(s)
	c.leftOpen = true
	p.greet(s)
	p.presence.add(c, time.Now())
	p.perform(c, opStart)
	p.archive.keep(c) // which now holds it
}

// ask sends one access-request and waits for the answer, and with it the whole
// proxy does.
func (p *proxy) ask(c *connection) {
	c.asked = true
	if c.access == nil {
		c.access = &Delivery{}
	}
	c.access.Events++
	id := c.id
	o := p.deliver(p.sendContext, event{
		action: ActionAccess, body: c.script.accessMessage(p.form, p.source, id),
		tries: c.script.access, timeout: p.cfg.Timeout, delivery: c.access,
	})
	verdict, echo := verdictOf(o.last)
	if verdict == verdictReject {
		p.live.rejects.Add(1)
	}
	p.ledger.with(func(t *Totals) { t.Verdicts[verdict]++ })
	if !c.rejected { // over SOCKS the first reject is final
		c.verdict, c.echo, c.rejected = verdict, echo, verdict == verdictReject
	}
}

// verdictOf reads an answer to access-request. Only a 2xx with the string
// "reject" rejects. The echo is the JSON of a 2xx, nil without one.
func verdictOf(a answer) (verdict string, echo json.RawMessage) {
	var b bytes.Buffer
	if !a.ok() || json.Compact(&b, a.body) != nil || b.Len() == 0 {
		return verdictFailed, nil
	}
	var said map[string]json.RawMessage
	if json.Unmarshal(b.Bytes(), &said) == nil && string(said["access-response"]) == `"reject"` {
		return verdictReject, b.Bytes()
	}
	return verdictAccept, b.Bytes()
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
			p.ask(c)
			p.ask(c)
		}
		now = time.Now()
		if c.rejected {
			p.end(c, now)
			p.startTimers(c, now, s.rejection(p.cfg.InfoDelayMax))
			return
		}
		p.presence.add(c, now.Add(s.listedAfter))
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
		if s.lostStop {
			return // it cannot be encoded
		}
		c.stop = &Delivery{Events: 1}
		p.push(c, event{action: ActionStop, body: s.stopMessage(p.form, p.source, c.id), tries: s.stop, delivery: c.stop})
	case opInfo:
		p.end(c, now) // if the stop is late
		c.info = &Delivery{Events: 1}
		p.push(c, event{
			action: ActionInfo, tries: s.info, delivery: c.info,
			body: s.infoMessage(p.form, p.source, c.id, c.echo, c.rejected),
		})
	}
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
	p.pool.push(e)
}

// release lets go of a connection; the last to do so closes its record.
func (p *proxy) release(c *connection) {
	if c.pending.Add(-1) == 0 {
		p.archive.conclude(p, c)
	}
}
