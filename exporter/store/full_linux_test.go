package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A full disk is an outage; spans of it are kept in memory, and written when there is room.
func TestFullDisk(t *testing.T) {
	path := t.TempDir()
	if err := syscall.Mount("tmpfs", path, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("mounts a tmpfs: %v", err)
	}
	var s *Store
	t.Cleanup(func() {
		// The database that failed is closed in the background. It must not leak its files.
		s.disposing.Wait()
		if err := syscall.Unmount(path, 0); err != nil {
			t.Error(err)
			syscall.Unmount(path, syscall.MNT_DETACH)
		}
	})
	filler := filepath.Join(path, "filler")
	check(t, os.WriteFile(filler, make([]byte, 12<<20), fileMode))
	var c counts
	s = open(t, path, Options{Metrics: &c, ReopenInterval: 20 * time.Millisecond})
	payload := strings.Repeat("x", 1000)
	added, behind := 0, 0
	var b Batch
	for ; behind < 200; added++ {
		b.Reset()
		b.AddSpans(fmt.Appendf(nil, "%06d%s", added, payload), 1)
		started := time.Now()
		if err := s.Commit(&b); errors.Is(err, ErrBehind) {
			behind++
		} else {
			check(t, err)
		}
		if took := time.Since(started); took > 1500*time.Millisecond {
			t.Errorf("a commit took %v", took)
		}
		if added > 20_000 {
			t.Fatal("the disk does not fill")
		}
	}
	check(t, os.Remove(filler))
	waitWritable(t, s)
	next := 0
	for !t.Failed() && next < added {
		err := s.Spans(0, func(id uint64, _ int, encoded []byte) bool {
			if n := fmt.Sprintf("%06d", id-1); int(id) == next+1 && strings.HasPrefix(string(encoded), n) {
				next++
			}
			return true
		})
		if err != nil {
			waitWritable(t, s)
		} else if next < added {
			t.Errorf("%d spans of %d", next, added)
		}
	}
	equal(t, "dropped", c.dropped.Load(), 0)
}
