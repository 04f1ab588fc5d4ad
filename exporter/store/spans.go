package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

type spanTotals struct{ payloads, spans, bytes int64 }

func (t *spanTotals) add(m spanMeta, sign int64) {
	t.payloads += sign
	t.spans += sign * int64(m.spans)
	t.bytes += sign * int64(m.bytes)
}

// oldestSpan is the first payload on disk; id 0 is none.
type oldestSpan struct {
	id     uint64
	stored int64
}

// memorySpan is a payload that waits in memory, because the disk did not take it. It may be on disk all the
// same, if a write was not known to have failed.
type memorySpan struct {
	id   uint64
	meta spanMeta
	data []byte
}

func putPayload(b *pebble.Batch, id uint64, meta spanMeta, data []byte) {
	d := b.SetDeferred(9, len(data))
	d.Key[0] = prefixSpan
	binary.BigEndian.PutUint64(d.Key[1:], id)
	copy(d.Value, data)
	d.Finish()
	d = b.SetDeferred(9, metaSize)
	d.Key[0] = prefixIndex
	binary.BigEndian.PutUint64(d.Key[1:], id)
	meta.append(d.Value[:0])
	d.Finish()
}

// SpansAdded receives a value after spans were added. Its capacity is 1.
func (s *Store) SpansAdded() <-chan struct{} { return s.added }

// Pending is how many spans wait to be sent, and their encoded size.
func (s *Store) Pending() (spans int, bytes int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.pending.spans), s.pending.bytes
}

// OldestSpan is when the oldest payload that waits was stored; zero if none waits.
func (s *Store) OldestSpan() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.oldest.id != 0:
		return time.UnixMilli(s.oldest.stored)
	case len(s.mem) > 0:
		return time.UnixMilli(s.mem[0].meta.stored)
	}
	return time.Time{}
}

// spanChunk is how many payloads Spans looks up at a time.
const spanChunk = 128

// Spans visits payloads with ids above after, oldest first, until visit returns false. encoded is valid during
// the call. During an outage only payloads in memory are visited; their ids follow those on disk. Payloads that
// cannot be read are counted as damaged and removed. Spans may hang with the disk.
func (s *Store) Spans(after uint64, visit func(id uint64, spans int, encoded []byte) (more bool)) error {
	s.mu.Lock()
	in := s.inst
	if s.working {
		in.refs.Add(1)
	} else {
		in = nil
	}
	s.mu.Unlock()
	if in != nil {
		more, last, err := s.diskSpans(in, after, visit)
		in.refs.Done()
		if err != nil || !more {
			return err
		}
		after = max(after, last)
	}
	s.mu.Lock()
	mem := slices.Clone(s.mem)
	s.mu.Unlock()
	for _, m := range mem {
		if m.id > after && !visit(m.id, int(m.meta.spans), m.data) {
			return nil
		}
	}
	return nil
}

func (s *Store) diskSpans(
	in *instance, after uint64, visit func(uint64, int, []byte) bool,
) (more bool, last uint64, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("read spans: panic: %v", r)
			s.fail(in, err)
		}
	}()
	type entry struct {
		id   uint64
		meta spanMeta
	}
	chunk := make([]entry, 0, spanChunk)
	var bad []uint64
	defer func() {
		if len(bad) > 0 {
			s.metrics.Damaged(len(bad))
			s.RemoveSpans(bad)
		}
	}()
	last = after
	for {
		chunk = chunk[:0]
		it, err := in.db.NewIter(&pebble.IterOptions{
			LowerBound: idKey(prefixIndex, last+1), UpperBound: []byte{prefixIndex + 1},
		})
		if err == nil {
			for ok := it.First(); ok && len(chunk) < spanChunk; ok = it.Next() {
				meta, _ := readMeta(it.Value())
				chunk = append(chunk, entry{binary.BigEndian.Uint64(it.Key()[1:]), meta})
			}
			err = it.Close()
		}
		if err != nil {
			s.readFailed(in, err)
			return false, last, fmt.Errorf("read spans: %w", err)
		}
		s.mu.Lock()
		chunk = slices.DeleteFunc(chunk, func(e entry) bool {
			last = max(last, e.id)
			_, gone := s.removed[e.id]
			if !gone {
				s.handed[e.id] = e.meta
			}
			return gone
		})
		s.mu.Unlock()
		for _, e := range chunk {
			value, closer, err := in.db.Get(idKey(prefixSpan, e.id))
			if errors.Is(err, pebble.ErrNotFound) || damaged(err) {
				if s.gone(in, e.id) {
					continue // removed by somebody else meanwhile
				}
				bad = append(bad, e.id)
				continue
			}
			if err != nil {
				s.readFailed(in, err)
				return false, last, fmt.Errorf("read spans: %w", err)
			}
			more := visit(e.id, int(e.meta.spans), value)
			closer.Close()
			if !more {
				return false, e.id, nil
			}
		}
		if len(chunk) == 0 {
			return true, last, nil
		}
	}
}

// gone tells whether a payload is no longer in the index.
func (s *Store) gone(in *instance, id uint64) bool {
	_, closer, err := in.db.Get(idKey(prefixIndex, id))
	if err == nil {
		closer.Close()
	}
	return errors.Is(err, pebble.ErrNotFound)
}

// readFailed handles an error of a read outside the worker.
func (s *Store) readFailed(in *instance, err error) {
	s.metrics.ReadFailed()
	s.fail(in, err)
}

// RemoveSpans removes payloads. With ErrBehind they will be removed from disk when it is back: Spans does not
// visit them any more, but after a crash they come back.
func (s *Store) RemoveSpans(ids []uint64) error {
	if len(ids) == 0 {
		return nil
	}
	ids = slices.Clone(ids)
	s.mu.Lock()
	for _, id := range ids {
		s.removeLocked(id)
	}
	in := s.inst
	if !s.working {
		s.mu.Unlock()
		return ErrBehind
	}
	s.mu.Unlock()
	return s.do(in, func(in *instance) error { return in.removeSpans(ids) })
}

// removeLocked notes that a payload is to be removed.
func (s *Store) removeLocked(id uint64) {
	if _, again := s.removed[id]; again {
		return
	}
	meta, known := s.handed[id]
	delete(s.handed, id)
	if i, found := slices.BinarySearchFunc(s.mem, id, func(m memorySpan, id uint64) int {
		return int(int64(m.id - id))
	}); found {
		meta, known = s.mem[i].meta, true
		s.memSize -= int64(meta.bytes)
		s.mem[i].data = nil
		s.mem = slices.Delete(s.mem, i, i+1)
	}
	if !known {
		return // never visited
	}
	s.pending.add(meta, -1)
	s.removed[id] = meta
	s.freed += int64(meta.bytes)
}

// removeSpans runs on the worker.
func (in *instance) removeSpans(ids []uint64) error {
	s := in.s
	s.mu.Lock()
	oldest := s.oldest.id
	s.mu.Unlock()
	b := in.db.NewBatch()
	defer in.release(b)
	first := false
	for _, id := range ids {
		b.Delete(idKey(prefixSpan, id), nil)
		b.Delete(idKey(prefixIndex, id), nil)
		first = first || id == oldest
	}
	if err := in.db.Apply(b, pebble.Sync); err != nil {
		return err
	}
	next := oldestSpan{}
	if first {
		var err error
		if next, err = in.firstSpan(oldest + 1); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		delete(s.removed, id)
	}
	if first && s.oldest.id == oldest {
		s.oldest = next
	}
	return nil
}

// firstSpan finds the first payload on disk from an id on.
func (in *instance) firstSpan(from uint64) (oldestSpan, error) {
	it, err := in.db.NewIter(&pebble.IterOptions{
		LowerBound: idKey(prefixIndex, from), UpperBound: []byte{prefixIndex + 1},
	})
	if err != nil {
		return oldestSpan{}, err
	}
	var o oldestSpan
	if it.First() {
		meta, _ := readMeta(it.Value())
		o = oldestSpan{binary.BigEndian.Uint64(it.Key()[1:]), meta.stored}
	}
	return o, it.Close()
}
