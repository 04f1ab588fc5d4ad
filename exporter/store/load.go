package store

import (
	"bytes"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// Load visits every record: kinds in ascending order, then sources, then keys. record is valid during the call.
// Call it once, before the first Commit. It may hang with the disk. During an outage it returns ErrBehind; if the disk
// only refuses to be written, because it is full or read-only, it has visited every record before.
//
// After a crash in the middle of a rewrite the newer of two records wins. A record that the rewrite had not reached is
// stale: its removal may have been lost in the outage, so the caller has to compare it with what is known otherwise.
// visit may call Tombstones.
func (s *Store) Load(visit func(k Kind, source, key string, record []byte, stale bool) error) error {
	s.mu.Lock()
	in, lo, hi := s.inst, s.lo, s.hi
	if !s.working {
		s.reopen = time.Now().Add(time.Hour) // not while it is read
		s.mu.Unlock()
		err := s.loadReadOnly(visit)
		s.mu.Lock()
		s.reopen = time.Now().Add(s.opt.ReopenInterval)
		s.mu.Unlock()
		if err != nil {
			return fmt.Errorf("%w: %w", ErrBehind, err)
		}
		return ErrBehind
	}
	in.refs.Add(1)
	s.mu.Unlock()
	defer in.refs.Done()
	return s.load(in, lo, hi, visit)
}

// loadReadOnly loads from a database that cannot be opened for writing.
func (s *Store) loadReadOnly(visit func(Kind, string, string, []byte, bool) error) error {
	if exists, err := checkFormat(s.dir); err != nil || !exists {
		return err
	}
	in, err := s.openInstance(s.dir, true)
	if err != nil {
		return fmt.Errorf("load records: %w", err)
	}
	defer in.dispose()
	lo, hi, err := in.epochs()
	if err != nil {
		return fmt.Errorf("load records: %w", err)
	}
	return s.load(in, lo, hi, visit)
}

func (s *Store) load(in *instance, lo, hi uint32, visit func(Kind, string, string, []byte, bool) error) (err error) {
	iters := make([]*pebble.Iterator, 0, hi-lo+1)
	defer func() {
		for _, it := range iters {
			if e := it.Close(); e != nil && err == nil {
				s.readFailed(in, e)
				err = fmt.Errorf("load records: %w", e)
			}
		}
	}()
	for epoch := hi; ; epoch-- {
		it, err := in.db.NewIter(&pebble.IterOptions{
			LowerBound: epochPrefix(epoch), UpperBound: epochPrefix(epoch + 1),
		})
		if err != nil {
			s.readFailed(in, err)
			return fmt.Errorf("load records: %w", err)
		}
		iters = append(iters, it)
		it.First()
		if epoch == lo {
			break
		}
	}
	for {
		// The newest epoch comes first, and wins a tie.
		least := -1
		for i, it := range iters {
			if it.Valid() && (least < 0 || bytes.Compare(suffix(it), suffix(iters[least])) < 0) {
				least = i
			}
		}
		if least < 0 {
			return nil
		}
		if err := s.loadOne(iters[least], least > 0, visit); err != nil {
			return err
		}
		key := bytes.Clone(suffix(iters[least]))
		for _, it := range iters[least:] {
			if it.Valid() && bytes.Equal(suffix(it), key) {
				it.Next()
			}
		}
	}
}

func suffix(it *pebble.Iterator) []byte { return it.Key()[1+epochSize:] }

func (s *Store) loadOne(it *pebble.Iterator, stale bool, visit func(Kind, string, string, []byte, bool) error) error {
	kind, source, key, ok := parseRecord(suffix(it))
	if !ok {
		s.metrics.Damaged(1)
		return nil
	}
	value, err := it.ValueAndErr()
	if err != nil {
		s.metrics.Damaged(1)
		return nil
	}
	return visit(kind, source, key, value, stale)
}
