package pipeline

import (
	"runtime"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/store"
	"smithproxy_exporter/exporter/track"
)

// Run loads the state from the store, calls ready, and handles items until Stop. It returns when all queued items are
// handled and committed. Items that are queued before ready wait.
func (p *Pipeline) Run(s *store.Store, ready func()) {
	p.store = s
	p.load()
	ready()
	ticker := time.NewTicker(p.Tick)
	defer ticker.Stop()
	for {
		if p.more || p.saved.rewriting() {
			select {
			case it, ok := <-p.intake:
				if !ok || !p.work(it) {
					p.finish()
					return
				}
			default:
			}
			p.advance()
			// A step is short, but a long list has hundreds. Receivers of events must run between them.
			runtime.Gosched()
			continue
		}
		select {
		case it, ok := <-p.intake:
			if !ok || !p.work(it) {
				p.finish()
				return
			}
		case <-ticker.C:
			p.advance()
		}
	}
}

// work handles a batch: an item, and the items that are queued after it. It returns false if the intake has ended.
func (p *Pipeline) work(first item) (more bool) {
	p.batch, more = append(p.batch[:0], first), true
	// Let receivers queue more items first, because a batch costs more than most of its events.
	runtime.Gosched()
	for more && len(p.batch) < batchLength {
		select {
		case it, ok := <-p.intake:
			if !ok {
				more = false
				break
			}
			p.batch = append(p.batch, it)
			continue
		default:
		}
		break
	}
	p.process()
	return more
}

// process applies a batch, commits the changes, and then releases the receivers of its events.
func (p *Pipeline) process() {
	p.checkClock(p.Now())
	p.findPasts()
	events := 0
	for i := range p.batch {
		if p.do(&p.batch[i]) {
			events++
		}
	}
	p.commit(events)
	p.endForgets()
	for i := range p.batch {
		if t := p.batch[i].taken; t != nil {
			t.done <- struct{}{}
		}
	}
	clear(p.batch)
	p.more = p.more || p.tracker.Busy()
}

// do handles an item, and reports whether it was an event or a decision.
func (p *Pipeline) do(it *item) bool {
	switch {
	case it.query != nil:
		it.query(p.tracker)
		return false
	case it.forget != nil:
		p.beginForget(it.forget)
		return false
	case it.advance:
		for p.tracker.Advance(p.clock.instant(p.Now())) || p.tracker.Busy() {
			p.adopt()
		}
		return false
	case it.decision != nil:
		d := *it.decision
		d.Mono = p.clock.instant(it.at).Mono
		p.tracker.Decide(d, p.saved.past(d.Source, d.ConnectionID))
	default:
		it.taken.ask = p.tracker.Apply(it.event, p.clock.instant(it.at), p.saved.past(it.event.Source, it.event.ID))
	}
	return true
}

// findPasts looks up all tombstones that the batch needs.
func (p *Pipeline) findPasts() {
	p.saved.forget()
	for i := range p.batch {
		it := &p.batch[i]
		switch {
		case it.query != nil, it.forget != nil, it.advance:
		case it.decision != nil:
			if d := it.decision; event.Instance(d.ConnectionID) != "" && p.tracker.NeedsPast(d.Source, d.ConnectionID, d.Label) {
				p.saved.want(d.Source, d.ConnectionID)
			}
		case it.event.ID != "":
			if ev := &it.event; p.tracker.NeedsPast(ev.Source, ev.ID, track.SessionOf(*ev)) {
				p.saved.want(ev.Source, ev.ID)
			}
		}
	}
	p.lookUp()
}

// checkClock detects a gap in which no events could be received.
func (p *Pipeline) checkClock(now time.Time) {
	if missed := p.clock.check(now); missed > 0 {
		p.Logger.Warn("The exporter did not run", "duration", missed)
		p.tracker.Resume(p.clock.instant(now))
	}
}

// advance handles deadlines, and does one step of longer work.
func (p *Pipeline) advance() {
	now := p.Now()
	p.checkClock(now)
	at := p.clock.instant(now)
	p.more = p.tracker.Advance(at)
	p.adopt()
	p.commit(0)
	p.endForgets()
	more := p.expire(at)
	p.rewrite()
	p.more = p.more || more || p.tracker.Busy()
}

// adopt adds listed connections that have no tombstone.
func (p *Pipeline) adopt() {
	found := p.tracker.Adoptable(batchLength)
	if len(found) == 0 {
		return
	}
	p.saved.forget()
	for _, a := range found {
		p.saved.want(a.Source, a.ID)
	}
	p.lookUp()
	for _, a := range found {
		if p.saved.past(a.Source, a.ID) == nil {
			p.tracker.Adopt(a)
		}
	}
}

// finish stores the state for the next run. If it cannot be stored, closing connections are finished now.
func (p *Pipeline) finish() {
	p.stopForgets()
	p.checkClock(p.Now())
	now := p.clock.instant(p.Now())
	for p.saved.rewriting() && p.saved.state != behind {
		p.rewrite()
	}
	if p.saved.state == inSync {
		p.saved.clockAt = -1
		p.commit(0)
	}
	if p.saved.state != inSync {
		for p.tracker.Drain(now) {
		}
		p.commit(0)
	}
}
