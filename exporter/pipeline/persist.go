package pipeline

import (
	"errors"
	"time"

	"smithproxy_exporter/exporter/store"
	"smithproxy_exporter/exporter/track"
)

// storeState is whether the store has all changes of the tracker.
type storeState uint8

const (
	// inSync: every batch is committed before it is acknowledged.
	inSync storeState = iota
	// behind: a commit failed or took too long. Batches are acknowledged from memory. The store keeps their spans and
	// tombstones in memory; missing records are written when it works again.
	behind
	// catchingUp: all records are rewritten in steps, while batches are committed as usual.
	catchingUp
)

// saved is the state of the pipeline's store.
type saved struct {
	state   storeState
	rewrite track.Rewrite
	batch   store.Batch
	// keys are the keys of the tombstones to look up for a batch, found their contents, pasts the decoded ones by key.
	keys  []store.TombstoneKey
	found [][]byte
	pasts map[store.TombstoneKey]*track.Past
	// clockAt is the last stored running time, expiredAt when tombstones were last expired.
	clockAt, expiredAt time.Duration
}

const (
	// tombstoneAge is how long a finished id is recognised.
	tombstoneAge = 24 * time.Hour
	// Every expireEvery, older tombstones are removed, up to expireCount between two batches of events.
	expireEvery = time.Second
	expireCount = 64
	// clockEvery is the interval in which the running time is stored if nothing else changes.
	clockEvery = 10 * time.Second
)

func (s *saved) rewriting() bool { return s.state == catchingUp }

func (s *saved) forget() {
	s.keys = s.keys[:0]
	clear(s.pasts)
}

func (s *saved) want(source, id string) {
	s.keys = append(s.keys, store.TombstoneKey{Source: source, ID: id})
}

func (s *saved) past(source, id string) *track.Past {
	if len(s.pasts) == 0 {
		return nil
	}
	return s.pasts[store.TombstoneKey{Source: source, ID: id}]
}

// lookUp looks up the tombstones for saved.keys. One that cannot be read counts as absent.
func (p *Pipeline) lookUp() {
	s := &p.saved
	if len(s.keys) == 0 {
		return
	}
	found, err := p.store.Tombstones(s.keys, s.found[:0])
	s.found = found
	if errors.Is(err, store.ErrBehind) {
		p.fallBehind()
	}
	for i, encoded := range found {
		if encoded == nil {
			continue
		}
		past, err := track.DecodePast(encoded)
		if err != nil {
			p.Logger.Debug("Tombstone is damaged", "err", err)
			continue
		}
		if s.pasts == nil {
			s.pasts = map[store.TombstoneKey]*track.Past{}
		}
		s.pasts[s.keys[i]] = past
	}
}

// load restores the state. Records that cannot be read are left out.
func (p *Pipeline) load() {
	began, records, damaged := time.Now(), 0, 0
	now := p.Now()
	err := p.store.Load(func(kind store.Kind, source, key string, record []byte, stale bool) error {
		if stale && track.Kind(kind) == track.KindConnection && p.isFinished(source, key) {
			return nil
		}
		records++
		err := error(nil)
		if track.Kind(kind) == track.KindTracker {
			var at track.Instant
			if at, err = track.DecodeClock(record); err == nil {
				p.clock.resume(at.Mono)
			}
		} else {
			err = p.tracker.Restore(track.Kind(kind), source, key, record)
		}
		if err != nil {
			damaged++
			p.Logger.Debug("Record is damaged", "err", err)
		}
		return nil
	})
	if err != nil && err != store.ErrBehind {
		p.Logger.Error("Failed to restore some of the state", "err", err)
	}
	if damaged > 0 {
		p.Logger.Error("Failed to restore some records", "records", damaged)
	}
	if errors.Is(err, store.ErrBehind) {
		p.fallBehind()
	}
	p.Metrics.Restored(records, time.Since(began))
	p.clock.base++ // greater than every stored time
	p.clock.last = p.clock.mono(now)
	p.tracker.Resume(p.clock.instant(now))
	p.tracker.Publish()
	p.saved.clockAt = -1
}

// isFinished reports whether the connection with the key of a record has a tombstone.
func (p *Pipeline) isFinished(source, key string) bool {
	id, n, ok := track.ConnectionOf(key)
	if !ok {
		return false
	}
	found, _ := p.store.Tombstones([]store.TombstoneKey{{Source: source, ID: id}}, nil)
	if len(found) == 0 || found[0] == nil {
		return false
	}
	past, err := track.DecodePast(found[0])
	return err == nil && past.Has(n)
}

// The kinds of the tracker are kinds of the store: this constant would be negative otherwise.
const _ = uint(store.MaxKind) - uint(track.KindNeighbor)

// writer adds the changes of the tracker to a batch of the store.
type writer struct{ *store.Batch }

func (w writer) Put(kind track.Kind, source, key string, record []byte) {
	w.Batch.Put(store.Kind(kind), source, key, record)
}

func (w writer) Remove(kind track.Kind, source, key string) {
	w.Batch.Remove(store.Kind(kind), source, key)
}

// commit writes changed records and new spans. events is the number of events that wait for it.
func (p *Pipeline) commit(events int) {
	p.tracker.Flush()
	s := &p.saved
	s.batch.Reset()
	p.tracker.Changes(writer{&s.batch})
	if p.Spans != nil {
		p.Spans.Encoded(func(encoded []byte, spans int) { s.batch.AddSpans(encoded, spans) })
	}
	at := p.clock.instant(p.Now())
	if s.clockAt < 0 || s.batch.Len() > 0 || at.Mono-s.clockAt >= clockEvery {
		s.batch.Put(store.Kind(track.KindTracker), "", "", p.tracker.EncodeClock(at))
		s.clockAt = at.Mono
	}
	p.write(events)
}

// write commits the batch unless it is empty.
func (p *Pipeline) write(events int) {
	s := &p.saved
	if s.batch.Len() == 0 {
		return
	}
	if err := p.store.Commit(&s.batch); err != nil {
		p.fallBehind()
	}
	if s.state != inSync && events > 0 {
		p.Metrics.Unsaved(events)
	}
}

// fallBehind records that the store lacks changes. The store logs the reason.
func (p *Pipeline) fallBehind() {
	if p.saved.state == inSync {
		p.Metrics.Behind(true)
	}
	p.saved.state = behind
}

// rewrite does one step of bringing a store that is behind up to date.
func (p *Pipeline) rewrite() {
	s := &p.saved
	switch s.state {
	case behind:
		if !p.store.Writable() || p.store.BeginRewrite() != nil {
			return
		}
		s.state, s.rewrite = catchingUp, track.Rewrite{}
	case catchingUp:
		s.batch.Reset()
		if p.tracker.Rewrite(&s.rewrite, writer{&s.batch}) {
			p.write(0)
			return
		}
		if p.store.EndRewrite() != nil {
			p.fallBehind()
			return
		}
		s.state = inSync
		p.Metrics.Behind(false)
	}
}

// expire removes some of the old tombstones, and reports whether there are more.
func (p *Pipeline) expire(at track.Instant) (more bool) {
	if p.saved.state != inSync || at.Mono-p.saved.expiredAt < expireEvery {
		return false
	}
	more, err := p.store.ExpireTombstones(at.Mono-tombstoneAge, expireCount)
	if err != nil {
		p.Logger.Debug("Failed to expire tombstones", "err", err)
	}
	if !more {
		p.saved.expiredAt = at.Mono
	}
	return more
}
