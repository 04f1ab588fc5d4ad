package store

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Spans are dropped before the directory is full, since a compaction needs room for its output, and deleted
// data takes room until a flush and a compaction.
const (
	dropAbove = 0.60 // of MaxSize
	dropTo    = 0.50
	tombShare = 0.25
	// What is above this share is dropped even if dropped spans still take room.
	ignoreGarbage = 0.85
	reclaimTime   = 10 * time.Second
	// episode is how long nothing must have been dropped before it is logged again.
	episode = time.Minute
)

// enforceBound measures the size and frees space. It runs on the supervisor.
func (s *Store) enforceBound(in *instance) {
	came := s.written.Swap(0)
	if !s.acquire(in) {
		return
	}
	m := in.db.Metrics()
	in.refs.Done()
	size := int64(m.DiskSpaceUsage())
	// Tables that were merged, and copies that are being made of others, go by themselves.
	passing := int64(m.Table.ObsoleteSize) + int64(m.Table.ZombieSize) + m.Compact.InProgressBytes
	s.size.Store(size)
	limit := float64(s.opt.MaxSize)
	s.mu.Lock()
	freed := s.freed
	tombs, waiting := s.tombSize, s.pending.bytes
	s.mu.Unlock()
	// What the sender removed was deleted one by one. One range deletion lets whole tables go.
	if float64(freed) > limit/32 {
		s.trim(in)
	}
	s.mu.Lock()
	now := time.Now()
	// What was dropped takes room until the database has merged its tables.
	s.garbage = max(0, s.garbage-max(0, s.lastSize-size))
	if now.Sub(s.lastDrop) > reclaimTime {
		s.garbage = 0
	}
	if now.Sub(s.lastDrop) > episode {
		s.full = false
	}
	s.lastSize = size
	// Above ignoreGarbage room is made for what comes only: merging what was dropped gives the rest back.
	excess := max(size-passing-s.garbage-int64(limit*dropTo), min(size-int64(limit*ignoreGarbage), 2*came))
	s.mu.Unlock()
	s.boundHistory(in, now)
	if float64(size) > limit*dropAbove && excess > 0 {
		// The history gives way to everything else.
		excess -= s.dropHistory(in, excess)
	}
	if float64(size) > limit*dropAbove && excess > 0 {
		if waiting > 0 {
			// A third at most: merging what was dropped takes room at first, which dropping the rest would not give back.
			s.dropSpans(in, min(excess, waiting/3))
		} else if tombs > 0 {
			s.dropTombstones(in, excess)
		}
	}
	if float64(tombs) > limit*tombShare {
		s.dropTombstones(in, tombs-int64(limit*tombShare))
	}
}

// trim deletes all payloads before the oldest one that waits with one range deletion each.
func (s *Store) trim(in *instance) {
	s.mu.Lock()
	s.freed = 0
	s.mu.Unlock()
	err := s.do(in, func(in *instance) error {
		// On the worker: whatever has an id and is not on disk now is written after the deletion.
		s.mu.Lock()
		end := s.oldest.id
		if end == 0 {
			end = s.nextID
		}
		s.mu.Unlock()
		b := in.db.NewBatch()
		defer in.release(b)
		b.DeleteRange([]byte{prefixSpan}, idKey(prefixSpan, end), nil)
		b.DeleteRange([]byte{prefixIndex}, idKey(prefixIndex, end), nil)
		return in.db.Apply(b, pebble.Sync)
	})
	if err == nil {
		s.compact(in)
	}
}

// compact flushes a range deletion: the database then drops tables that it covers whole, unread, and merges the
// others. It waits for the flush.
func (s *Store) compact(in *instance) {
	if !s.acquire(in) {
		return
	}
	defer in.refs.Done()
	done, err := in.db.AsyncFlush()
	if err != nil {
		s.fail(in, err)
		return
	}
	select {
	case <-done:
	case <-in.dead:
	case <-s.closing:
	}
}

// dropSpans drops the oldest payloads, of that many bytes.
func (s *Store) dropSpans(in *instance, bytes int64) {
	var total spanTotals
	end := uint64(math.MaxUint64)
	err := s.do(in, func(in *instance) error {
		it, err := in.db.NewIter(&pebble.IterOptions{
			LowerBound: []byte{prefixIndex}, UpperBound: []byte{prefixIndex + 1},
		})
		if err != nil {
			return err
		}
		for ok := it.First(); ok; ok = it.Next() {
			id := binary.BigEndian.Uint64(it.Key()[1:])
			if total.bytes >= bytes {
				end = id
				break
			}
			meta, _ := readMeta(it.Value())
			total.add(meta, 1)
			end = id + 1
		}
		return it.Close()
	})
	if err != nil || total.payloads == 0 {
		return
	}
	err = s.do(in, func(in *instance) error {
		b := in.db.NewBatch()
		defer in.release(b)
		b.DeleteRange([]byte{prefixSpan}, idKey(prefixSpan, end), nil)
		b.DeleteRange([]byte{prefixIndex}, idKey(prefixIndex, end), nil)
		if err := in.db.Apply(b, pebble.Sync); err != nil {
			return err
		}
		next, err := in.firstSpan(end)
		if err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.oldest = next
		for id := range s.handed {
			if id < end {
				delete(s.handed, id)
			}
		}
		return nil
	})
	if err != nil {
		return
	}
	s.mu.Lock()
	s.pending.payloads -= total.payloads
	s.pending.spans -= total.spans
	s.pending.bytes -= total.bytes
	first := !s.full
	s.full, s.lastDrop = true, time.Now()
	s.garbage += total.bytes
	s.mu.Unlock()
	s.metrics.SpansDropped(int(total.spans))
	if first {
		s.logger.Warn("Store is full, dropping the oldest spans", "max_size", s.opt.MaxSize)
	}
	s.compact(in)
}

// dropTombstones drops the oldest tombstones, of about that many bytes.
func (s *Store) dropTombstones(in *instance, bytes int64) {
	const step = 500
	for left := bytes; left > 0; {
		n, freed, err := s.expire(in, []byte{prefixExpiry + 1}, step)
		if err != nil || n == 0 {
			return
		}
		left -= freed
	}
}
