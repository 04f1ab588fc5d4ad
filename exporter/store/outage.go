package store

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// An outage begins when the database fails, or does not answer in time. It ends when a database is open, no
// operation is outstanding, and what was kept in memory is written.

func (s *Store) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// beginOutage is called with mu.
func (s *Store) beginOutage(err error) {
	s.working, s.begun = false, 0
	if s.outage || s.closed {
		return
	}
	s.outage = true
	s.metrics.WriteFailed()
	s.logger.Error("Store write failed, acknowledging from memory", "err", err.Error())
	s.nudge()
}

// fail gives an instance up. Pebble may call it with its own locks held.
func (s *Store) fail(in *instance, err error) {
	in.die(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inst != in {
		return
	}
	s.inst = nil
	s.corrupt = s.corrupt || damaged(err)
	s.fences = append(s.fences, in.fs)
	s.reopen = time.Now().Add(s.opt.ReopenInterval)
	if damaged(err) {
		s.reopen = time.Now()
	}
	s.beginOutage(err)
	in.dispose()
}

// acquire keeps an instance from being closed, until refs.Done, if it is current.
func (s *Store) acquire(in *instance) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inst != in || s.closed {
		return false
	}
	in.refs.Add(1)
	return true
}

// Writable tells whether the disk takes writes. After ErrBehind, a rewrite may begin then.
func (s *Store) Writable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.working
}

// keep keeps spans and tombstones of a batch in memory. Called with mu.
func (s *Store) keep(c *content) {
	dropped := 0
	for _, p := range c.spans {
		if _, gone := s.removed[p.id]; gone {
			continue
		}
		s.mem = append(s.mem, memorySpan{p.id, p.meta, slices.Clone(c.buf[p.start:p.end])})
		s.memSize += int64(p.meta.bytes)
	}
	for s.memSize > s.opt.MaxMemorySpans && len(s.mem) > 0 {
		dropped += int(s.mem[0].meta.spans)
		s.removeLocked(s.mem[0].id)
	}
	if dropped > 0 {
		s.metrics.SpansDropped(dropped)
	}
	s.keepHistory(c)
	for _, t := range c.tombs {
		if _, ok := s.tombs[t.hash]; ok || len(s.tombs) < s.opt.MaxMemoryTombstones {
			s.tombs[t.hash] = memoryTombstone{t.at, slices.Clone(c.buf[t.start:t.end])}
		}
	}
}

// superviseInterval is how often the size is measured at least.
const superviseInterval = time.Second

func (s *Store) supervise() {
	defer close(s.supervised)
	tick := time.NewTicker(min(superviseInterval, s.opt.ReopenInterval))
	defer tick.Stop()
	for {
		select {
		case <-s.closing:
			return
		case <-s.wake:
		case <-tick.C:
		}
		s.step()
		s.stepped.Broadcast()
	}
}

func (s *Store) step() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	in, working := s.inst, s.working
	stuck := in != nil && in.abandoned > 0
	due := !time.Now().Before(s.reopen)
	s.fences = slices.DeleteFunc(s.fences, func(f *diskFS) bool { return f.active.Load() == 0 })
	// A write of the old database that is still under way could disturb the new one.
	clear := len(s.fences) == 0
	s.mu.Unlock()
	switch {
	case in == nil && due && clear:
		err := s.probe()
		if err == nil {
			err = s.start()
		}
		if err != nil {
			s.metrics.WriteFailed()
			s.logger.Debug("Store still fails", "err", err.Error())
			s.mu.Lock()
			s.reopen = time.Now().Add(s.opt.ReopenInterval)
			s.mu.Unlock()
		}
	case in == nil:
	case working:
		s.enforceBound(in)
	case !stuck:
		s.recover(in)
	}
}

// probeSize is enough to tell a full disk from one on which a database can be opened.
const probeSize = 256 << 10

// probe tells whether the disk takes a synced write.
func (s *Store) probe() error {
	if err := makeDir(s.path); err != nil {
		return err
	}
	fs := s.newFS()
	name := filepath.Join(s.path, "store.probe")
	err := writeSynced(fs, name, make([]byte, probeSize))
	return errors.Join(err, fs.Remove(name))
}

// adopt makes an open database current. Its totals replace those of before.
func (s *Store) adopt(in *instance, found survey) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-in.dead:
		return errDied
	default:
	}
	if s.closed {
		return errClosed
	}
	s.inst = in
	s.lo, s.hi = found.lo, found.hi
	s.tombSize = found.tombSize
	s.filter = found.filter
	s.nextID = max(s.nextID, found.lastID+1)
	s.oldest = found.oldest
	s.trimmed = 0
	s.history.found(found.chunks, found.lastHistory)
	s.pending = found.spans
	for _, m := range s.mem {
		if _, onDisk := found.ids[m.id]; !onDisk {
			s.pending.add(m.meta, 1)
		}
	}
	for id, meta := range s.removed {
		if _, onDisk := found.ids[id]; onDisk {
			s.pending.add(meta, -1)
		}
	}
	if len(s.mem)+len(s.removed)+len(s.tombs)+len(s.history.mem) == 0 {
		s.endOutage()
	} else {
		s.nudge()
	}
	return nil
}

// endOutage is called with mu.
func (s *Store) endOutage() {
	s.working = true
	if s.outage {
		s.outage = false
		s.logger.Info("Store works again")
	}
	if s.pending.payloads > 0 {
		s.signal(1)
	}
}

// recoverStep is how many payloads or tombstones are written at a time.
const recoverStep = 1000

// recover writes what was kept in memory and ends the outage. If the disk stalls meanwhile it is called again.
func (s *Store) recover(in *instance) {
	for {
		s.mu.Lock()
		if s.inst != in || s.closed {
			s.mu.Unlock()
			return
		}
		spans := slices.Clone(s.mem[:min(len(s.mem), recoverStep)])
		tombs := map[hash]memoryTombstone{}
		for h, t := range s.tombs {
			if tombs[h] = t; len(tombs) >= recoverStep {
				break
			}
		}
		removed := slices.Collect(maps.Keys(s.removed))
		removed = removed[:min(len(removed), recoverStep)]
		done := s.history.kept()
		if len(spans)+len(tombs)+len(removed)+len(done.done) == 0 {
			s.endOutage()
			s.mu.Unlock()
			return
		}
		for h, t := range tombs {
			s.filter.add(h, t.at)
		}
		s.history.count(done)
		s.mu.Unlock()
		if err := s.do(in, func(in *instance) error { return in.writeKept(spans, tombs, removed, done) }); err != nil {
			s.mu.Lock()
			s.history.uncount(done)
			s.mu.Unlock()
			return
		}
		s.written.Add(int64(s.opt.MaxSize) / 256)
		s.mu.Lock()
		s.history.written(done)
		for _, m := range spans {
			// Removed while it was written: it has to be removed from disk then.
			if len(s.mem) > 0 && s.mem[0].id == m.id {
				s.memSize -= int64(m.meta.bytes)
				s.mem = slices.Delete(s.mem, 0, 1)
			}
		}
		for h, t := range tombs {
			if now, ok := s.tombs[h]; ok && now.at == t.at {
				delete(s.tombs, h)
				s.tombSize += tombOverhead + int64(len(t.data))
			}
		}
		s.mu.Unlock()
	}
}

// writeKept runs on the worker. A payload that was written before the outage is written again, unchanged.
func (in *instance) writeKept(spans []memorySpan, tombs map[hash]memoryTombstone, removed []uint64, done *content) error {
	b := in.db.NewBatch()
	defer in.release(b)
	for _, m := range spans {
		putPayload(b, m.id, m.meta, m.data)
	}
	for h, t := range tombs {
		in.putTombstone(b, h, t.at, t.data)
	}
	in.putHistory(b, done)
	if !b.Empty() {
		if err := in.db.Apply(b, pebble.Sync); err != nil {
			return fmt.Errorf("write what was kept: %w", err)
		}
	}
	if len(spans) > 0 {
		in.wrote(spans[0].id, spans[0].meta)
	}
	if len(removed) == 0 {
		return nil
	}
	return in.removeSpans(removed)
}
