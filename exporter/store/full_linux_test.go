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

// A disk that cannot be written at the start must not cost the state that is on it.
func TestUnwritableAtStart(t *testing.T) {
	path := t.TempDir()
	mount := func(flags uintptr) error { return syscall.Mount("tmpfs", path, "tmpfs", flags, "size=16m") }
	filler := filepath.Join(path, "filler")
	for name, c := range map[string]struct{ spoil, heal func() error }{
		"read-only": {
			func() error { return mount(syscall.MS_REMOUNT | syscall.MS_RDONLY) },
			func() error { return mount(syscall.MS_REMOUNT) },
		},
		"full": {
			func() error {
				err := os.WriteFile(filler, make([]byte, 32<<20), fileMode)
				if errors.Is(err, syscall.ENOSPC) {
					return nil
				}
				return fmt.Errorf("the disk is not full: %w", err)
			},
			func() error { return os.Remove(filler) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := mount(0); err != nil {
				t.Skipf("mounts a tmpfs: %v", err)
			}
			s := open(t, path, Options{})
			defer func() {
				s.Close()
				s.disposing.Wait()
				check(t, syscall.Unmount(path, 0))
			}()
			var b Batch
			b.Put(KindConnection, "p", "open", []byte("old"))
			b.AddSpans([]byte("span"), 1)
			check(t, s.Commit(&b))
			check(t, s.Close())
			check(t, c.spoil())
			s = open(t, path, Options{ReopenInterval: 20 * time.Millisecond})
			var got []string
			err := s.Load(func(_ Kind, source, key string, record []byte, stale bool) error {
				got = append(got, fmt.Sprint(source, " ", key, " ", string(record), " ", stale))
				return nil
			})
			if !errors.Is(err, ErrBehind) {
				t.Errorf("Load returned %v, want ErrBehind", err)
			}
			equal(t, "records", fmt.Sprint(got), "[p open old false]")
			check(t, c.heal())
			waitWritable(t, s)
			equal(t, "spans", allSpans(t, s), "1:span")
			equal(t, "records", fmt.Sprint(load(t, s)), "map[2/p/open:old]")
		})
	}
}
