package pipeline

import (
	"iter"
	"time"
)

const (
	// rewriteEvery bounds how long an event stays on disk after it has had its effect.
	rewriteEvery = time.Minute
	// rewriteBytes bounds how much there is to be replayed, unless the configuration says less.
	rewriteBytes = 32 << 20
	// retryEvery is the pause between attempts to write to a journal that failed.
	retryEvery = 5 * time.Second
)

// replay brings the state back that the journal holds. Of the facts of it, which other processes have
// told, only the keeper hears.
func (p *Pipeline) replay() {
	began, entries, unusable := time.Now(), 0, 0
	p.replaying = true
	err := p.Journal.Replay(func(entry []byte) error {
		entries++
		if err := p.redo(entry); err != nil {
			// It has its checksum: another version wrote it, or this one is wrong. The rest is good.
			unusable++
			p.Logger.Debug("Entry of the journal was passed over", "err", err)
		}
		return nil
	})
	p.replaying = false
	if err != nil {
		p.Logger.Error("State from before cannot be read", "err", err)
	}
	if unusable > 0 {
		p.Logger.Error("Entries of the journal were passed over", "entries", unusable)
	}
	p.Meter.Replayed(entries, time.Since(began))
	p.lastTick = p.Now()
	p.tracker.Resume(p.lastTick)
	p.tracker.Introduce()
	p.advanced = p.lastTick
	p.rewrite()
}

// rewrite has the journal begin anew with the state as it is.
func (p *Pipeline) rewrite() bool {
	p.commit() // For what has led to it will not be there to be replayed.
	now := p.Now()
	p.rewrittenAt = now
	err := p.Journal.Rewrite(p.state())
	if err != nil {
		if !p.faulty {
			p.Logger.Error("Events cannot be written down: a crash now would lose what is open. They are answered, and it is tried again",
				"err", err, "every", retryEvery)
		}
		p.faulty, p.unwritten, p.retryAt = true, false, now.Add(retryEvery)
		return false
	}
	if p.faulty {
		p.Logger.Info("Events are written down again")
	}
	p.faulty, p.unwritten, p.base = false, false, p.Journal.Size()
	return true
}

// state yields the entries of a journal that begins now.
func (p *Pipeline) state() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var entry []byte
		for part := range p.tracker.Snapshot() {
			entry = append(append(entry[:0], entryState), part...)
			if !yield(entry) {
				return
			}
		}
	}
}

// upkeep rewrites the journal when it has grown, and tries one that failed.
func (p *Pipeline) upkeep(now time.Time) {
	if p.faulty {
		if !now.Before(p.retryAt) {
			p.rewrite()
		}
		return
	}
	grown := p.Journal.Size() - p.base
	if grown > max(p.RewriteBytes, p.base) || grown > 0 && now.Sub(p.rewrittenAt) >= rewriteEvery {
		p.rewrite()
	}
}

// commit makes durable what the keeper took, and notes that it is, so that a replay does not lead to it
// again. A note that is lost costs an identical repeat.
func (p *Pipeline) commit() {
	if p.uncommitted = 0; p.Keeper == nil {
		return
	}
	receipt := p.Keeper.Commit()
	if len(receipt) > 0 && !p.faulty {
		p.note = append(append(p.note[:0], entryReceipt), receipt...)
		p.append([][]byte{p.note})
	}
}

// append writes to the journal, and returns whether that succeeded.
func (p *Pipeline) append(entries [][]byte) bool {
	err := p.Journal.Append(entries)
	if err == nil {
		return true
	}
	p.Logger.Debug("Journal failed, and is written anew", "err", err)
	p.unwritten = true
	return false
}
