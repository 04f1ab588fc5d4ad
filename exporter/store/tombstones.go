package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// tombstones looks up many. An iterator asks the bloom filters of the last level, too, which Get does not: a
// look-up that misses costs 1 µs instead of 20.
func (in *instance) tombstones(hashes []hash, found [][]byte) ([][]byte, error) {
	it, err := in.db.NewIter(&pebble.IterOptions{
		LowerBound: []byte{prefixTomb}, UpperBound: []byte{prefixTomb + 1}, UseL6Filters: true,
	})
	if err != nil {
		return nil, err
	}
	key := tombKey(hash{})
	for i, h := range hashes {
		copy(key[1:], h[:])
		ok := it.SeekPrefixGE(key)
		if err := it.Error(); damaged(err) {
			in.s.metrics.Damaged(1)
			continue
		} else if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		if value := it.Value(); ok && len(value) >= 8 {
			found[i] = append([]byte{}, value[8:]...)
		}
	}
	if err := it.Close(); err != nil && !damaged(err) {
		return nil, err
	}
	return found, nil
}

// TombstoneKey names a tombstone.
type TombstoneKey struct{ Source, ID string }

// tombOverhead is about what a tombstone takes on disk beside its data: two keys and a time.
const tombOverhead = 64

type memoryTombstone struct {
	at   time.Duration
	data []byte
}

// putTombstone runs on the worker.
func (in *instance) putTombstone(b *pebble.Batch, h hash, at time.Duration, data []byte) {
	in.expired = min(in.expired, at)
	d := b.SetDeferred(1+hashSize, 8+len(data))
	d.Key[0] = prefixTomb
	copy(d.Key[1:], h[:])
	binary.BigEndian.PutUint64(d.Value, uint64(at)^1<<63)
	copy(d.Value[8:], data)
	d.Finish()
	d = b.SetDeferred(1+8+hashSize, 0)
	d.Key[0] = prefixExpiry
	binary.BigEndian.PutUint64(d.Key[1:], uint64(at)^1<<63)
	copy(d.Key[9:], h[:])
	d.Finish()
}

// tombstone is nil if there is none, and if it cannot be read.
func (in *instance) tombstone(h hash) ([]byte, time.Duration, error) {
	value, closer, err := in.db.Get(tombKey(h))
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, 0, nil
	}
	if damaged(err) {
		in.s.metrics.Damaged(1)
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer closer.Close()
	if len(value) < 8 {
		in.s.metrics.Damaged(1)
		return nil, 0, nil
	}
	return append([]byte{}, value[8:]...), readAt(value), nil
}

// Tombstones looks up many tombstones at once. It appends one element per key to found[:0] and returns it; nil
// means that there is none. It asks the disk only for ids that may have one, see tombFilter. It returns within
// Options.Timeout; with ErrBehind, only tombstones that were kept in memory are found.
func (s *Store) Tombstones(keys []TombstoneKey, found [][]byte) ([][]byte, error) {
	found = found[:0]
	if len(keys) == 0 {
		return found, nil
	}
	var hashes []hash // to be looked up on disk
	var places []int  // where in found
	s.mu.Lock()
	for i, k := range keys {
		h := hashOf(k.Source, k.ID)
		t, inMemory := s.tombs[h]
		found = append(found, t.data)
		if !inMemory && s.filter.mayHave(h) {
			hashes, places = append(hashes, h), append(places, i)
		}
	}
	in := s.inst
	if !s.working {
		in = nil
	}
	s.mu.Unlock()
	if in == nil {
		return found, ErrBehind
	}
	if len(hashes) == 0 {
		return found, nil
	}
	disk := make([][]byte, len(hashes))
	err := s.do(in, func(in *instance) (err error) {
		disk, err = in.tombstones(hashes, disk)
		return err
	})
	if err != nil {
		s.metrics.ReadFailed()
		return found, err
	}
	for i, data := range disk {
		found[places[i]] = data
	}
	return found, nil
}

// ExpireTombstones removes up to limit tombstones whose time is before the given one, oldest first, and reports whether
// there may be more. It holds up Commit meanwhile, by some 10 µs a tombstone.
func (s *Store) ExpireTombstones(before time.Duration, limit int) (more bool, err error) {
	s.mu.Lock()
	in := s.inst
	if !s.working {
		s.mu.Unlock()
		return false, ErrBehind
	}
	s.mu.Unlock()
	n, _, err := s.expire(in, appendAt([]byte{prefixExpiry}, before), limit)
	if err == nil && n < limit {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.filter.expired(before)
	}
	return n == limit, err
}

// expire removes up to limit tombstones from the start of the expiry index up to the key end. It returns how many entries
// of the index it removed, and about how many bytes.
func (s *Store) expire(in *instance, end []byte, limit int) (count int, freed int64, err error) {
	err = s.do(in, func(in *instance) error {
		// Not from the start: the iterator would pass all entries that were removed since the last compaction.
		start := appendAt([]byte{prefixExpiry}, in.expired)
		if bytes.Compare(start, end) >= 0 {
			return nil
		}
		it, err := in.db.NewIter(&pebble.IterOptions{LowerBound: start, UpperBound: end})
		if err != nil {
			return err
		}
		expired := in.expired
		b := in.db.NewBatch()
		defer in.release(b)
		for ok := it.First(); ok && count < limit; ok = it.Next() {
			count++
			key := it.Key()
			b.Delete(key, nil)
			if len(key) != 9+hashSize {
				continue
			}
			expired = readAt(key[1:])
			h := hash(key[9:])
			data, at, err := in.tombstone(h)
			if err != nil {
				return errors.Join(err, it.Close())
			}
			// Written again since, with another time: that entry expires it.
			if data == nil || at != readAt(key[1:]) {
				continue
			}
			freed += tombOverhead + int64(len(data))
			b.Delete(tombKey(h), nil)
		}
		if err := it.Close(); err != nil {
			return err
		}
		if b.Empty() {
			return nil
		}
		if err := in.db.Apply(b, pebble.Sync); err != nil {
			return err
		}
		in.expired = expired
		return nil
	})
	if err != nil {
		return 0, 0, err
	}
	s.mu.Lock()
	s.tombSize = max(0, s.tombSize-freed)
	s.mu.Unlock()
	return count, freed, nil
}
