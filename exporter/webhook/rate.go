package webhook

import (
	"sync"
	"sync/atomic"
	"time"
)

// burst is how much of a rate may come at once.
const burst = 2 * time.Second

// maxRated bounds how many keys are told apart. Beyond it all of them begin again.
const maxRated = 16384

// rate limits how often something happens for each key (GCRA): a key that is known costs no allocation and a lock for
// reading. It is safe for concurrent use.
type rate[K comparable] struct {
	interval time.Duration // between two at the full rate
	since    time.Time

	mu   sync.RWMutex
	keys map[K]*atomic.Int64 // when the key has used up its rate, in ns after since
}

func newRate[K comparable](perSecond int, now time.Time) *rate[K] {
	return &rate[K]{interval: time.Second / time.Duration(perSecond), since: now, keys: map[K]*atomic.Int64{}}
}

// allow reports whether one more of a key at a time is within the rate, and counts it if so.
func (r *rate[K]) allow(key K, at time.Time) bool {
	now := int64(at.Sub(r.since))
	used := r.key(key)
	for {
		before := used.Load()
		after := max(before, now) + int64(r.interval)
		if after-now > int64(burst) {
			return false
		}
		if used.CompareAndSwap(before, after) {
			return true
		}
	}
}

func (r *rate[K]) key(key K) *atomic.Int64 {
	r.mu.RLock()
	used, ok := r.keys[key]
	r.mu.RUnlock()
	if ok {
		return used
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if used, ok = r.keys[key]; ok {
		return used
	}
	if len(r.keys) >= maxRated {
		clear(r.keys)
	}
	used = new(atomic.Int64)
	r.keys[key] = used
	return used
}
