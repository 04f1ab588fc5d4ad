package store

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// maxExpire bounds the entries that one step looks at to find those that are too old.
	maxExpire = 1000
	// expireShare is by which part of MaxAge entries get older before they are removed, so that it is not done for one at
	// a time. Readers do not see them meanwhile.
	expireShare = 100
)

// boundHistory removes entries that are too old or too many, the oldest first. It runs on the supervisor.
func (s *Store) boundHistory(in *instance, now time.Time) {
	age := s.opt.History.MaxAge
	if age <= 0 {
		s.clearHistory(in)
		return
	}
	s.mu.Lock()
	h := &s.history
	drop, bytes := 0, h.bytes
	expired := now.Add(-age).UnixMilli()
	// The last chunk is being written to.
	for drop < len(h.chunks)-1 && (bytes > s.historyLimit() || h.chunks[drop].newest < expired) {
		bytes -= h.chunks[drop].bytes
		drop++
	}
	partly := drop < len(h.chunks) && h.chunks[drop].oldest < now.Add(-age-age/expireShare).UnixMilli()
	s.mu.Unlock()
	if drop > 0 {
		s.dropChunks(in, drop)
	}
	if partly {
		s.expireHistory(in, expired)
	}
}

// dropHistory removes the oldest chunks, of about that many bytes, and returns how many bytes that were.
func (s *Store) dropHistory(in *instance, bytes int64) (dropped int64) {
	s.mu.Lock()
	drop := 0
	for drop < len(s.history.chunks)-1 && dropped < bytes {
		dropped += s.history.chunks[drop].bytes
		drop++
	}
	s.mu.Unlock()
	if drop == 0 || s.dropChunks(in, drop) != nil {
		return 0
	}
	s.mu.Lock()
	s.garbage += dropped
	s.mu.Unlock()
	s.compact(in)
	return dropped
}

// dropChunks removes the oldest chunks.
func (s *Store) dropChunks(in *instance, n int) error {
	return s.do(in, func(in *instance) error {
		s.mu.Lock()
		// Only the worker removes chunks, so that they are still the oldest ones.
		n = min(n, len(s.history.chunks)-1)
		if n <= 0 {
			s.mu.Unlock()
			return nil
		}
		next := s.history.chunks[n]
		s.mu.Unlock()
		b := in.db.NewBatch()
		defer in.release(b)
		b.DeleteRange(historyKey(next.first-1), []byte{prefixHistory + 1}, nil)
		b.DeleteRange([]byte{prefixName}, binary.BigEndian.AppendUint32([]byte{prefixName}, next.index), nil)
		b.DeleteRange([]byte{prefixChunk}, chunkKey(next.index), nil)
		if err := in.db.Apply(b, pebble.Sync); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		h := &s.history
		for _, c := range h.chunks[:n] {
			h.entries -= c.entries
			h.bytes -= c.bytes
		}
		h.chunks = h.chunks[n:]
		return nil
	})
}

// expireHistory removes entries of the oldest chunk that were stored before the given time. Their names stay in the index
// until the chunk is removed.
func (s *Store) expireHistory(in *instance, before int64) {
	_ = s.do(in, func(in *instance) error {
		s.mu.Lock()
		if len(s.history.chunks) == 0 {
			s.mu.Unlock()
			return nil
		}
		oldest, end := s.history.chunks[0], uint64(math.MaxUint64)
		if len(s.history.chunks) > 1 {
			end = s.history.chunks[1].first
		}
		s.mu.Unlock()
		it, err := in.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixHistory}, UpperBound: []byte{prefixHistory + 1}})
		if err != nil {
			return err
		}
		var removed chunk
		kept, next := oldest.first, time.Now().UnixMilli()
		for ok := it.Last(); ok && removed.entries < maxExpire; ok = it.Prev() {
			value := it.Value()
			if len(it.Key()) != 9 || len(value) < 8 {
				continue
			}
			number, at := numberOf(it.Key()), int64(binary.BigEndian.Uint64(value))
			if next = at; at >= before || number >= end {
				break
			}
			kept = number + 1
			removed.entries++
			removed.bytes += doneOverhead + int64(len(value)) - 8
		}
		if err := it.Close(); err != nil && !damaged(err) {
			return err
		}
		b := in.db.NewBatch()
		defer in.release(b)
		if kept > oldest.first {
			b.DeleteRange(historyKey(kept-1), []byte{prefixHistory + 1}, nil)
		}
		s.mu.Lock()
		if c := s.history.chunk(oldest.index); c != nil {
			s.history.change(c, -removed.entries, -removed.bytes)
			c.first, c.oldest = kept, next
		}
		s.mu.Unlock()
		in.putChunk(b, oldest.index)
		return in.db.Apply(b, pebble.Sync)
	})
}

// clearHistory removes everything, once.
func (s *Store) clearHistory(in *instance) {
	s.mu.Lock()
	if s.history.cleared {
		s.mu.Unlock()
		return
	}
	s.mu.Unlock()
	err := s.do(in, func(in *instance) error {
		b := in.db.NewBatch()
		defer in.release(b)
		for _, prefix := range []byte{prefixHistory, prefixName, prefixChunk} {
			b.DeleteRange([]byte{prefix}, []byte{prefix + 1}, nil)
		}
		return in.db.Apply(b, pebble.Sync)
	})
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.history.found(nil, 0)
}
