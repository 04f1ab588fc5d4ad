package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// ErrBehind says that the disk does not take writes, or does not answer in time.
var ErrBehind = errors.New("store is behind")

// do runs an operation on the worker of in and waits for it, for Options.Timeout at most. An error of the
// operation fails the instance.
func (s *Store) do(in *instance, run func(*instance) error) error {
	op := &operation{run: run, done: make(chan error, 1)}
	timer, ok := s.timers.Get().(*time.Timer)
	if ok {
		timer.Reset(s.opt.Timeout)
	} else {
		timer = time.NewTimer(s.opt.Timeout)
	}
	defer func() { timer.Stop(); s.timers.Put(timer) }()
	select {
	case in.ops <- op:
	case <-in.dead:
		return ErrBehind
	case <-timer.C:
		s.mu.Lock()
		defer s.mu.Unlock()
		s.beginOutage(errSlow)
		return ErrBehind
	}
	var err error
	select {
	case err = <-op.done:
	case <-in.dead:
		return ErrBehind
	case <-timer.C:
		s.mu.Lock()
		if !op.finished {
			op.abandoned = true
			in.abandoned++
			s.beginOutage(errSlow)
			s.mu.Unlock()
			return ErrBehind
		}
		s.mu.Unlock()
		err = <-op.done
	}
	if err != nil {
		s.fail(in, err)
		return fmt.Errorf("%w: %w", ErrBehind, err)
	}
	select {
	case <-in.dead: // the database does not see that a write failed, see diskFS
		return fmt.Errorf("%w: %w", ErrBehind, in.err)
	default:
		return nil
	}
}

var errSlow = errors.New("the disk does not answer in time")

// finished is called by the worker.
func (s *Store) finished(in *instance, op *operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	op.finished = true
	if op.abandoned {
		in.abandoned--
		s.nudge()
	}
}

// Commit writes a batch atomically, within Options.Timeout. nil: it is written, and survives as package store
// says. ErrBehind: it is not, or not known to be. Its spans and tombstones are then kept in memory, and written
// when the disk is back; its records must be written again by the caller, see BeginRewrite. The batch may be
// Reset and used again in both cases.
func (s *Store) Commit(b *Batch) error {
	if b.Len() == 0 {
		return nil
	}
	c := b.c
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed
	}
	now := time.Now().UnixMilli()
	for i := range c.spans {
		p := &c.spans[i]
		p.id, p.meta.stored = s.nextID, now
		s.nextID++
		s.pending.add(p.meta, 1)
	}
	s.number(c, now)
	if !s.working {
		s.keep(c)
		s.mu.Unlock()
		s.signal(len(c.spans))
		return ErrBehind
	}
	in, lo, hi := s.inst, s.lo, s.hi
	s.history.count(c)
	for _, t := range c.tombs {
		s.tombSize += tombOverhead + int64(t.end-t.start)
		s.filter.add(t.hash, t.at)
	}
	s.mu.Unlock()
	err := s.do(in, func(in *instance) error { return in.write(c, lo, hi) })
	if err != nil {
		s.mu.Lock()
		s.history.uncount(c)
		s.keep(c)
		s.mu.Unlock()
		b.c = nil // the worker may still read it
	} else if s.written.Add(int64(len(c.buf))) > int64(s.opt.MaxSize)/64 {
		s.nudge()
	}
	s.signal(len(c.spans))
	return err
}

func (s *Store) signal(spans int) {
	if spans == 0 {
		return
	}
	select {
	case s.added <- struct{}{}:
	default:
	}
}

func (in *instance) write(c *content, lo, hi uint32) error {
	b := in.db.NewBatchWithSize(len(c.buf) + 64*(len(c.ops)+2*len(c.spans)+2*len(c.tombs)+2*len(c.done)) + 128)
	defer in.release(b)
	for _, op := range c.ops {
		key := c.buf[op.start:op.key]
		switch op.kind {
		case putRecord:
			d := b.SetDeferred(1+epochSize+len(key), op.end-op.key)
			recordKey(d.Key, hi, key)
			copy(d.Value, c.buf[op.key:op.end])
			d.Finish()
		case removeRecord:
			for epoch := lo; epoch <= hi; epoch++ {
				d := b.DeleteDeferred(1 + epochSize + len(key))
				recordKey(d.Key, epoch, key)
				d.Finish()
			}
		case removeSource:
			for epoch := lo; epoch <= hi; epoch++ {
				for k := range MaxKind + 1 {
					start := appendSource(epochPrefix(epoch), k, string(key))
					end := append([]byte(nil), start...)
					end[len(end)-1]++ // the terminator 00 01 becomes 00 02, which no key holds
					b.DeleteRange(start, end, nil)
				}
			}
		}
	}
	for _, t := range c.tombs {
		in.putTombstone(b, t.hash, t.at, c.buf[t.start:t.end])
	}
	for _, p := range c.spans {
		putPayload(b, p.id, p.meta, c.buf[p.start:p.end])
	}
	in.putHistory(b, c)
	if err := in.db.Apply(b, pebble.Sync); err != nil || len(c.spans) == 0 {
		return err
	}
	in.wrote(c.spans[0].id, c.spans[0].meta)
	return nil
}

// wrote notes the first of some payloads that are on disk now. It runs on the worker, as do what removes payloads and
// what looks for the next one: between them, no payload on disk is older than the oldest.
func (in *instance) wrote(id uint64, meta spanMeta) {
	s := in.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.oldest.id == 0 || id < s.oldest.id {
		s.oldest = oldestSpan{id, meta.stored}
	}
}

func recordKey(dst []byte, epoch uint32, key []byte) {
	dst[0] = prefixRecord
	binary.BigEndian.PutUint32(dst[1:], epoch)
	copy(dst[1+epochSize:], key)
}
