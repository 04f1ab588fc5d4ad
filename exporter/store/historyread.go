package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// HistoryEntry is an entry of the history.
type HistoryEntry struct {
	// Number counts the entries from 1.
	Number uint64
	Stored time.Time
	// Data is valid during the visit.
	Data []byte
}

// HistoryTotals describe the history.
type HistoryTotals struct {
	Entries, Bytes, MaxBytes int64
	// Oldest is about when the oldest entry was stored; zero if there is none.
	Oldest time.Time
}

// HistoryTotals returns what the history holds.
func (s *Store) HistoryTotals() HistoryTotals {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &s.history
	t := HistoryTotals{Entries: h.entries + int64(len(h.mem)), Bytes: h.bytes + h.memSize, MaxBytes: s.historyLimit()}
	switch {
	case len(h.chunks) > 0:
		t.Oldest = time.UnixMilli(h.chunks[0].oldest)
	case len(h.mem) > 0:
		t.Oldest = time.UnixMilli(h.mem[0].at)
	}
	return t
}

// History visits the entries whose number is below before, the newest first, until visit returns false. It reads from a
// snapshot, so that it delays no Commit. What was stored too long ago is left out. During an outage only entries in
// memory are visited. History may hang with the disk.
func (s *Store) History(before uint64, visit func(HistoryEntry) (more bool)) error {
	oldest := s.oldestHistory()
	in, mem := s.readHistory()
	if in != nil {
		defer in.refs.Done()
	}
	for _, m := range slices.Backward(mem) {
		if m.number < before && (m.at < oldest || !visit(HistoryEntry{m.number, time.UnixMilli(m.at), m.data})) {
			return nil
		}
	}
	if len(mem) > 0 {
		before = min(before, mem[0].number)
	}
	if in == nil || before == 0 {
		return nil
	}
	return s.diskHistory(in, before, oldest, visit)
}

// readHistory returns the database, nil during an outage, and the entries in memory.
func (s *Store) readHistory() (*instance, []memoryEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.working {
		return nil, slices.Clone(s.history.mem)
	}
	s.inst.refs.Add(1)
	return s.inst, slices.Clone(s.history.mem)
}

// oldestHistory is when the oldest entry that may be shown was stored, in Unix ms.
func (s *Store) oldestHistory() int64 { return time.Now().Add(-s.opt.History.MaxAge).UnixMilli() }

// maxDamage bounds how often a read goes on behind damage.
const maxDamage = 8

func (s *Store) diskHistory(in *instance, before uint64, oldest int64, visit func(HistoryEntry) bool) (err error) {
	defer s.recoverRead(in, &err)
	it, err := in.db.NewIter(&pebble.IterOptions{LowerBound: historyKey(before - 1), UpperBound: []byte{prefixHistory + 1}})
	if err != nil {
		return s.historyFailed(in, err)
	}
	last, damages := before, 0
	for ok := it.First(); ; ok = it.Next() {
		if !ok && damaged(it.Error()) && damages < maxDamage {
			// Go on behind the chunk that the damage is in: some entries are lost.
			damages++
			s.metrics.Damaged(1)
			next, more := s.chunkBefore(last)
			if !more {
				break
			}
			last = next
			ok = it.SeekGE(historyKey(next - 1))
		}
		if !ok {
			break
		}
		value := it.Value()
		if len(it.Key()) != 9 || len(value) < 8 {
			continue
		}
		last = numberOf(it.Key())
		at := int64(binary.BigEndian.Uint64(value))
		if at < oldest || !visit(HistoryEntry{last, time.UnixMilli(at), value[8:]}) {
			break
		}
	}
	if err := it.Close(); err != nil && !damaged(err) {
		return s.historyFailed(in, err)
	}
	return nil
}

// chunkBefore returns the first number of the chunk with the entry before a number; more is false if it is the oldest.
func (s *Store) chunkBefore(number uint64) (first uint64, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range slices.Backward(s.history.chunks) {
		if c.first < number {
			return c.first, i > 0
		}
	}
	return 0, false
}

// HistoryOf visits the entries of a connection, the newest first. Entries of another connection can be among them.
func (s *Store) HistoryOf(source, name string, visit func(HistoryEntry)) error {
	oldest := s.oldestHistory()
	hash := nameHash(source, name)
	in, mem := s.readHistory()
	for _, m := range slices.Backward(mem) {
		if m.name == hash {
			visit(HistoryEntry{m.number, time.UnixMilli(m.at), m.data})
		}
	}
	if in == nil {
		return nil
	}
	defer in.refs.Done()
	return s.diskHistoryOf(in, hash, oldest, visit)
}

func (s *Store) diskHistoryOf(in *instance, name [nameHashSize]byte, oldest int64, visit func(HistoryEntry)) (err error) {
	defer s.recoverRead(in, &err)
	it, err := in.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixName}, UpperBound: []byte{prefixName + 1}})
	if err != nil {
		return s.historyFailed(in, err)
	}
	s.mu.Lock()
	chunks := slices.Clone(s.history.chunks)
	s.mu.Unlock()
	var numbers []uint64
	for _, c := range chunks {
		prefix := namePrefix(c.index, name)
		for ok := it.SeekGE(prefix); ok && len(it.Key()) == nameKeySize && string(it.Key()[:len(prefix)]) == string(prefix); ok = it.Next() {
			numbers = append(numbers, binary.BigEndian.Uint64(it.Key()[len(prefix):]))
		}
	}
	if err := it.Close(); err != nil && !damaged(err) {
		return s.historyFailed(in, err)
	}
	for _, number := range slices.Backward(numbers) {
		value, closer, err := in.db.Get(historyKey(number))
		switch {
		case errors.Is(err, pebble.ErrNotFound), damaged(err):
			continue
		case err != nil:
			return s.historyFailed(in, err)
		}
		if len(value) >= 8 {
			if at := int64(binary.BigEndian.Uint64(value)); at >= oldest {
				visit(HistoryEntry{number, time.UnixMilli(at), value[8:]})
			}
		}
		closer.Close()
	}
	return nil
}

// recoverRead turns a panic of the database into an error.
func (s *Store) recoverRead(in *instance, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("read history: panic: %v", r)
		s.fail(in, *err)
	}
}

func (s *Store) historyFailed(in *instance, err error) error {
	s.readFailed(in, err)
	return fmt.Errorf("read history: %w", err)
}
