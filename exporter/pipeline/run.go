package pipeline

import "time"

// Run brings the state back, calls ready, and works until Stop. It returns when all that was taken has
// gone through, and the state has been written down. What is taken before ready waits.
func (p *Pipeline) Run(ready func()) {
	p.replay()
	ready()
	ticker := time.NewTicker(p.Tick)
	defer ticker.Stop()
	for {
		select {
		case it, ok := <-p.intake:
			if !ok || !p.work(it) {
				p.finish()
				return
			}
		case <-ticker.C:
			p.tick(p.Now())
		}
	}
}

// work takes an item, and all that wait behind it as far as a batch goes. It returns false when there
// will be no more.
func (p *Pipeline) work(first item) (more bool) {
	p.batch, more = append(p.batch[:0], first), true
	for bytes := len(first.body); more && bytes < batchBytes && len(p.batch) < batchLength; {
		select {
		case it, ok := <-p.intake:
			if !ok {
				more = false
				break
			}
			p.batch = append(p.batch, it)
			bytes += len(it.body)
			continue
		default:
		}
		break
	}
	p.process()
	return more
}

// process writes a batch down, lets it have its effect, and only then lets its receivers go.
func (p *Pipeline) process() {
	events := p.encode()
	if len(p.entries) > 0 && !p.faulty {
		p.append(p.entries)
	}
	for i := range p.batch {
		p.do(&p.batch[i])
	}
	if p.unwritten {
		p.rewrite() // with what the batch has led to
	}
	if p.faulty {
		p.Meter.Unjournaled(events)
	}
	for i := range p.batch {
		if t := p.batch[i].taken; t != nil {
			t.done <- struct{}{}
		}
	}
	p.uncommitted += len(p.batch)
	clear(p.batch)
	if p.uncommitted >= commitLength {
		p.commit()
	}
	p.upkeep(p.Now())
}

// encode makes the entries of a batch, and returns of how many events and decisions there are any.
func (p *Pipeline) encode() int {
	p.encoded, p.entries = p.encoded[:0], p.entries[:0]
	for i := range p.batch {
		it := &p.batch[i]
		begin := len(p.encoded)
		switch {
		case it.decision != nil:
			p.encoded = appendDecision(p.encoded, p.advanced, it.decision)
		case it.taken != nil && journaled(it.event.Action):
			p.encoded = appendEvent(p.encoded, p.advanced, it.at, it.body)
		default:
			continue
		}
		// An entry keeps the bytes it has when the buffer grows after it.
		p.entries = append(p.entries, p.encoded[begin:len(p.encoded):len(p.encoded)])
	}
	return len(p.entries)
}

func (p *Pipeline) do(it *item) {
	switch {
	case it.look != nil:
		it.look(p.tracker)
	case it.decision != nil:
		p.tracker.Decide(*it.decision)
	default:
		it.taken.ask = p.tracker.Apply(it.event, it.at)
	}
}

// tick lets the time have its effect. If the clock has got far since the last one, the process was
// stopped, and nothing could be received.
func (p *Pipeline) tick(now time.Time) {
	if now.Sub(p.lastTick) > gap {
		p.Logger.Warn("The exporter did not run, or the clock was set", "for", now.Sub(p.lastTick))
		if !p.faulty {
			p.append([][]byte{appendTime([]byte{entryResume}, now)})
		}
		p.tracker.Resume(now)
	}
	p.lastTick = now
	p.advance(now)
	if p.unwritten {
		p.rewrite()
	}
	p.commit()
	p.upkeep(now)
}

func (p *Pipeline) advance(now time.Time) {
	if now.After(p.advanced) {
		p.advanced = now
	}
	p.tracker.Advance(now)
}

// finish writes the state down for the next process. Where that cannot be done, what is over is told of
// now, for nobody will know of it later.
func (p *Pipeline) finish() {
	p.advance(p.Now())
	if !p.rewrite() {
		p.tracker.Close()
		p.commit()
	}
}
