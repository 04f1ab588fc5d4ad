package store

import (
	"fmt"
	"testing"
	"time"
)

func TestFilterHasAllThatWasAdded(t *testing.T) {
	const hashes = filterPartHashes + 1000 // in two parts
	var f tombFilter
	for i := range hashes {
		f.add(hashOf("p", fmt.Sprint(i)), time.Duration(i))
	}
	equal(t, "parts", len(f.parts), 2)
	for i := range hashes {
		if !f.mayHave(hashOf("p", fmt.Sprint(i))) {
			t.Fatalf("hash %d is missing", i)
		}
	}
	wrong := 0
	for i := range 10_000 {
		if f.mayHave(hashOf("q", fmt.Sprint(i))) {
			wrong++
		}
	}
	if wrong > 300 {
		t.Errorf("%d of 10,000 unknown hashes may be there", wrong)
	}
	f.expired(filterPartHashes)
	equal(t, "parts after the first expired", len(f.parts), 1)
	if !f.mayHave(hashOf("p", fmt.Sprint(hashes-1))) {
		t.Error("the last hash has gone with the first")
	}
	f.expired(hashes)
	equal(t, "parts in the end", len(f.parts), 0)
}

// TestUnknownIDsDoNotWaitForTheDisk looks up ids while the disk hangs.
func TestUnknownIDsDoNotWaitForTheDisk(t *testing.T) {
	path := t.TempDir()
	f := &faults{block: make(chan struct{})}
	s := open(t, path, Options{})
	var b Batch
	b.PutTombstone("p", "known", []byte("t"), 1)
	check(t, s.Commit(&b))
	check(t, s.Close())

	s = open(t, path, Options{Faults: f.op, Timeout: time.Hour})
	defer f.heal()
	f.mu.Lock()
	f.at = f.count + 1
	f.mu.Unlock()
	hanging := make(chan struct{})
	go func() {
		defer close(hanging)
		var b Batch
		b.PutTombstone("p", "new", nil, 2)
		s.Commit(&b)
	}()
	keys := make([]TombstoneKey, 100)
	for i := range keys {
		keys[i] = TombstoneKey{"p", fmt.Sprint(i)}
	}
	found, err := s.Tombstones(keys, nil)
	check(t, err)
	equal(t, "answers", len(found), len(keys))
	f.heal()
	<-hanging
	equal(t, "a tombstone of the run before", tomb(t, s, "p", "known"), "t")
}
