package store

import (
	"encoding/binary"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// survey is what Open finds in a database.
type survey struct {
	lo, hi   uint32
	spans    spanTotals
	ids      map[uint64]struct{} // of payloads that are in memory or to be removed
	oldest   oldestSpan
	lastID   uint64
	tombSize int64
	filter   tombFilter
	chunks   []chunk // of the history, oldest first
	// lastHistory is the number of its newest entry, 0 if there is none.
	lastHistory uint64
}

// survey reads everything but payloads and the history, so that damage is found now.
func (in *instance) survey() (f survey, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("survey: panic: %v", r)
		}
	}()
	if f.lo, f.hi, err = in.epochs(); err != nil {
		return f, err
	}
	f.ids = map[uint64]struct{}{}
	s := in.s
	s.mu.Lock()
	for id := range s.removed {
		f.ids[id] = struct{}{}
	}
	for _, m := range s.mem {
		f.ids[m.id] = struct{}{}
	}
	s.mu.Unlock()
	found := map[uint64]struct{}{}
	err = in.each(prefixIndex, func(key, value []byte) {
		meta, ok := readMeta(value)
		if !ok || len(key) != 9 {
			return
		}
		id := binary.BigEndian.Uint64(key[1:])
		f.spans.add(meta, 1)
		if f.oldest.id == 0 {
			f.oldest = oldestSpan{id, meta.stored}
		}
		f.lastID = id
		if _, ok := f.ids[id]; ok {
			found[id] = struct{}{}
		}
	})
	f.ids = found
	if err != nil {
		return f, err
	}
	if f.chunks, f.lastHistory, err = in.surveyHistory(); err != nil {
		return f, err
	}
	if err := in.each(prefixRecord, func(_, _ []byte) {}); err != nil {
		return f, err
	}
	if err := in.each(prefixExpiry, func(_, _ []byte) {}); err != nil {
		return f, err
	}
	return f, in.each(prefixTomb, func(key, value []byte) {
		f.tombSize += tombOverhead + int64(len(value))
		if len(key) == 1+hashSize && len(value) >= 8 {
			f.filter.add(hash(key[1:]), readAt(value))
		}
	})
}

func (in *instance) each(prefix byte, visit func(key, value []byte)) error {
	it, err := in.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return err
	}
	for ok := it.First(); ok; ok = it.Next() {
		visit(it.Key(), it.Value())
	}
	return it.Close()
}
