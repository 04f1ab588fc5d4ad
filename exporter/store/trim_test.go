package store

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestTrimKeepsWhatWaits commits, removes and trims at once: a payload that was assigned an id and is not written yet is
// not taken for sent.
func TestTrimKeepsWhatWaits(t *testing.T) {
	const payloads = 5000
	s := open(t, t.TempDir(), Options{Config: Config{MaxSize: 1 << 30}})
	var committed atomic.Bool
	var work sync.WaitGroup
	work.Go(func() {
		defer committed.Store(true)
		for range payloads {
			var b Batch
			b.AddSpans([]byte("payload"), 1)
			if err := s.Commit(&b); err != nil {
				t.Error(err)
				return
			}
		}
	})
	work.Go(func() {
		for !committed.Load() {
			s.mu.Lock()
			s.freed = 1 << 30
			in := s.inst
			s.mu.Unlock()
			s.enforceBound(in)
		}
	})
	seen := 0
	for after, end := uint64(0), time.Now().Add(20*time.Second); seen < payloads && time.Now().Before(end); {
		done := committed.Load()
		var ids []uint64
		check(t, s.Spans(after, func(id uint64, _ int, _ []byte) bool {
			ids = append(ids, id)
			return true
		}))
		check(t, s.RemoveSpans(ids))
		if seen += len(ids); len(ids) > 0 {
			after = ids[len(ids)-1]
		} else if done {
			break
		}
	}
	work.Wait()
	pending, _ := s.Pending()
	if seen != payloads || pending != 0 {
		t.Errorf("%d of %d payloads were visited, %d are counted as waiting", seen, payloads, pending)
	}
	if at := s.OldestSpan(); !at.IsZero() {
		t.Errorf("the oldest payload is of %v, though none waits", at)
	}
}
