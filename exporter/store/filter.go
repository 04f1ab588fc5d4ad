package store

import (
	"time"

	"github.com/bits-and-blooms/bloom/v3"
)

const (
	// Each part of a tombFilter holds so many hashes with so many false positives: 1.25 MiB.
	filterPartHashes    = 1 << 20
	filterFalsePositive = 0.01
	// maxFilterParts is more than a store of 3 GiB can have tombstones. Beyond it the last part takes all, with more and
	// more false positives.
	maxFilterParts = 8
)

// tombFilter tells of most ids that have no tombstone, without asking the disk: nearly every connection is new. It has
// every tombstone on disk, and some that are gone. Guarded by Store.mu.
type tombFilter struct{ parts []*filterPart }

// filterPart has tombstones that were added one after the other. It goes when the last of them has expired.
type filterPart struct {
	bloom  *bloom.BloomFilter
	hashes int
	last   time.Duration // the latest time of a tombstone
}

func (f *tombFilter) add(h hash, at time.Duration) {
	n := len(f.parts)
	if n == 0 || f.parts[n-1].hashes >= filterPartHashes && n < maxFilterParts {
		f.parts = append(f.parts, &filterPart{bloom: bloom.NewWithEstimates(filterPartHashes, filterFalsePositive), last: at})
		n++
	}
	p := f.parts[n-1]
	p.bloom.Add(h[:])
	p.hashes++
	p.last = max(p.last, at)
}

// mayHave reports false for a hash that has no tombstone on disk.
func (f *tombFilter) mayHave(h hash) bool {
	for _, p := range f.parts {
		if p.bloom.Test(h[:]) {
			return true
		}
	}
	return false
}

// expired says that all tombstones of before a time are gone.
func (f *tombFilter) expired(before time.Duration) {
	kept := f.parts[:0]
	for _, p := range f.parts {
		if p.last >= before {
			kept = append(kept, p)
		}
	}
	clear(f.parts[len(kept):])
	f.parts = kept
}
