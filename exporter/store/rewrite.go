package store

import (
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// Records carry the number of an epoch in their keys. BeginRewrite starts an epoch; EndRewrite drops those
// before. The epochs on disk are lo to hi.

// BeginRewrite begins to write the whole state again, as is necessary after an outage: records that a Commit
// did not write are otherwise missing, and removed ones come back. Put all records, in many small commits, then
// call EndRewrite. Other commits may come in between. A rewrite that was begun before starts over.
func (s *Store) BeginRewrite() error {
	s.mu.Lock()
	in, lo, hi := s.inst, s.lo, s.hi+1
	if !s.working {
		s.mu.Unlock()
		return ErrBehind
	}
	s.mu.Unlock()
	if err := s.do(in, func(in *instance) error { return in.setEpochs(lo, hi, lo) }); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hi, s.begun = hi, hi
	return nil
}

// ErrNoRewrite says that a rewrite did not begin, or that an outage ended it.
var ErrNoRewrite = errors.New("store: no rewrite is under way")

// EndRewrite drops, atomically, every record that was not put since BeginRewrite. It fails with ErrNoRewrite if
// an outage came in between: begin again.
func (s *Store) EndRewrite() error {
	s.mu.Lock()
	in, lo, hi := s.inst, s.lo, s.begun
	if !s.working {
		s.mu.Unlock()
		return ErrBehind
	}
	s.mu.Unlock()
	if hi == 0 {
		return ErrNoRewrite
	}
	if err := s.do(in, func(in *instance) error { return in.setEpochs(hi, hi, lo) }); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lo, s.begun = hi, 0
	return nil
}

// setEpochs stores the epochs, and drops those from drop up to lo.
func (in *instance) setEpochs(lo, hi, drop uint32) error {
	b := in.db.NewBatch()
	defer in.release(b)
	value := binary.BigEndian.AppendUint32(nil, lo)
	b.Set(epochsKey, binary.BigEndian.AppendUint32(value, hi), nil)
	if drop < lo {
		b.DeleteRange(epochPrefix(drop), epochPrefix(lo), nil)
	}
	return in.db.Apply(b, pebble.Sync)
}

// epochs reads what setEpochs wrote; a new store has one epoch, 1. Without it, damaged, the records tell.
func (in *instance) epochs() (lo, hi uint32, err error) {
	value, closer, err := in.db.Get(epochsKey)
	if err == nil {
		defer closer.Close()
		if len(value) == 8 {
			return binary.BigEndian.Uint32(value), binary.BigEndian.Uint32(value[4:]), nil
		}
	} else if !errors.Is(err, pebble.ErrNotFound) {
		return 0, 0, err
	}
	it, err := in.db.NewIter(&pebble.IterOptions{
		LowerBound: []byte{prefixRecord}, UpperBound: []byte{prefixRecord + 1},
	})
	if err != nil {
		return 0, 0, err
	}
	lo, hi = 1, 1
	if it.First() && len(it.Key()) > epochSize {
		lo = binary.BigEndian.Uint32(it.Key()[1:])
	}
	if it.Last() && len(it.Key()) > epochSize {
		hi = binary.BigEndian.Uint32(it.Key()[1:])
	}
	return lo, max(lo, hi), it.Close()
}
