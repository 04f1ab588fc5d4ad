package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestStore(t *testing.T) {
	path := t.TempDir()
	s := open(t, path, Options{})
	var b Batch
	b.Put(KindConnection, "p", "c1", []byte("one"))
	b.Put(KindConnection, "p", "c2", []byte("two"))
	b.Put(KindProxy, "p\x00q", "", []byte("proxy"))
	b.Put(KindConnection, "pp", "c1", []byte("other"))
	b.PutTombstone("p", "c0", []byte("gone"), time.Second)
	b.PutTombstone("p", "empty", nil, time.Second)
	b.AddSpans([]byte("spans"), 3)
	check(t, s.Commit(&b))
	b.Reset()
	b.Remove(KindConnection, "p", "c1")
	b.AddSpans([]byte("more"), 1)
	check(t, s.Commit(&b))
	for range 2 {
		got := load(t, s)
		equal(t, "records", fmt.Sprint(got), "map[1/p\x00q/:proxy 2/p/c2:two 2/pp/c1:other]")
		_, text := spans(t, s)
		equal(t, "spans", text, "3:spans 1:more")
		n, bytes := s.Pending()
		equal(t, "pending", n, 4)
		equal(t, "bytes", bytes, 9)
		equal(t, "tombstone", tomb(t, s, "p", "c0"), "gone")
		found, err := s.Tombstones([]TombstoneKey{{"p", "empty"}, {"pc", "0"}}, nil)
		check(t, err)
		if found[0] == nil || found[1] != nil {
			t.Errorf("found %q", found)
		}
		if age := time.Since(s.OldestSpan()); age < 0 || age > time.Minute {
			t.Errorf("age %v", age)
		}
		check(t, s.Close())
		s = open(t, path, Options{})
	}
	ids, _ := spans(t, s)
	check(t, s.RemoveSpans(ids[:1]))
	_, text := spans(t, s)
	equal(t, "left", text, "1:more")
	check(t, s.RemoveSpans(ids))
	n, _ := s.Pending()
	equal(t, "pending", n, 0)
	equal(t, "oldest", s.OldestSpan(), time.Time{})
	b.Reset()
	b.Put(0, "p", "first kind", nil)
	b.Put(MaxKind, "p", "last kind", nil)
	b.RemoveSource("p")
	check(t, s.Commit(&b))
	equal(t, "records", fmt.Sprint(load(t, s)), "map[1/p\x00q/:proxy 2/pp/c1:other]")
	equal(t, "tombstone", tomb(t, s, "p", "c0"), "gone")
}

func TestExpiry(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	var b Batch
	b.PutTombstone("p", "a", []byte("a"), -time.Second)
	b.PutTombstone("p", "b", []byte("b"), time.Second)
	b.PutTombstone("p", "again", []byte("old"), time.Second)
	check(t, s.Commit(&b))
	b.Reset()
	b.PutTombstone("p", "again", []byte("new"), time.Hour)
	check(t, s.Commit(&b))
	expire := func(before time.Duration, limit int, want bool) {
		t.Helper()
		more, err := s.ExpireTombstones(before, limit)
		check(t, err)
		equal(t, "more", more, want)
	}
	expire(0, 10, false)
	equal(t, "a", tomb(t, s, "p", "a"), "")
	equal(t, "b", tomb(t, s, "p", "b"), "b")
	expire(time.Minute, 1, true)
	expire(time.Minute, 1, true)
	expire(time.Minute, 1, false)
	equal(t, "b", tomb(t, s, "p", "b"), "")
	equal(t, "again", tomb(t, s, "p", "again"), "new")
	// One that was kept in memory during an outage is written with a time before the last expiry.
	b.Reset()
	b.PutTombstone("p", "late", []byte("late"), time.Millisecond)
	check(t, s.Commit(&b))
	equal(t, "late", tomb(t, s, "p", "late"), "late")
	expire(time.Minute, 10, false)
	equal(t, "late", tomb(t, s, "p", "late"), "")
}

func TestRewrite(t *testing.T) {
	for _, crash := range []bool{false, true} {
		path := t.TempDir()
		s := open(t, path, Options{})
		var b Batch
		b.Put(KindConnection, "p", "old", []byte("old"))
		b.Put(KindConnection, "p", "kept", []byte("old"))
		b.Put(KindConnection, "p", "removed", []byte("old"))
		check(t, s.Commit(&b))
		check(t, s.BeginRewrite())
		b.Reset()
		b.Put(KindConnection, "p", "kept", []byte("new"))
		b.Remove(KindConnection, "p", "removed")
		check(t, s.Commit(&b))
		want := "map[2/p/kept:new]"
		if crash {
			want = "map[2/p/kept:new 2/p/old:old (stale)]"
		} else {
			check(t, s.EndRewrite())
			equal(t, "again", s.EndRewrite(), ErrNoRewrite)
		}
		check(t, s.Close())
		s = open(t, path, Options{})
		equal(t, "records", fmt.Sprint(load(t, s)), want)
		check(t, s.BeginRewrite())
		check(t, s.EndRewrite())
		equal(t, "records", fmt.Sprint(load(t, s)), "map[]")
	}
}

func TestRefused(t *testing.T) {
	t.Run("locked", func(t *testing.T) {
		path := t.TempDir()
		open(t, path, Options{})
		if _, err := Open(path, Options{}); !errors.Is(err, ErrLocked) {
			t.Error(err)
		}
	})
	for name, c := range map[string]struct {
		file, text string
		want       error
	}{
		"newer":     {formatFile, fmt.Sprintf(formatLine, format+1), ErrNewerFormat},
		"no marker": {"000001.sst", "x", ErrNotStore},
		"garbage":   {formatFile, "x", ErrNotStore},
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir()
			check(t, os.Mkdir(filepath.Join(path, storeDir), 0o755))
			file := filepath.Join(path, storeDir, c.file)
			check(t, os.WriteFile(file, []byte(c.text), 0o644))
			if _, err := Open(path, Options{}); !errors.Is(err, c.want) {
				t.Error(err)
			}
			text, _ := os.ReadFile(file)
			names, _ := os.ReadDir(filepath.Dir(file))
			if string(text) != c.text || len(names) != 1 {
				t.Errorf("touched: %q %v", text, names)
			}
		})
	}
}

func TestModes(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "data")
	s := open(t, path, Options{})
	var b Batch
	b.AddSpans([]byte("x"), 1)
	check(t, s.Commit(&b))
	check(t, filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		check(t, err)
		info, err := d.Info()
		check(t, err)
		want := fs.FileMode(fileMode)
		if d.IsDir() {
			want = dirMode
		}
		equal(t, name, info.Mode().Perm(), want)
		return nil
	}))
}

func BenchmarkCommit(b *testing.B) {
	for _, sync := range []bool{false, true} {
		b.Run(fmt.Sprintf("sync=%v", sync), func(b *testing.B) {
			s := open(b, b.TempDir(), Options{Config: Config{Sync: sync}})
			record, payload := make([]byte, 400), make([]byte, 800)
			var batch Batch
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				id := fmt.Sprintf("%08x-id", n)
				batch.Reset()
				batch.Put(KindConnection, "proxy", id, record)
				if n%2 == 1 {
					batch.Remove(KindConnection, "proxy", id)
					batch.PutTombstone("proxy", id, record[:16], time.Duration(n))
					batch.AddSpans(payload, 1)
				}
				check(b, s.Commit(&batch))
			}
		})
	}
}

func BenchmarkTombstoneMiss(b *testing.B) {
	s := open(b, b.TempDir(), Options{})
	var batch Batch
	for n := range 200_000 {
		batch.PutTombstone("proxy", fmt.Sprint(n), []byte("tombstone"), time.Duration(n))
		if n%1000 == 999 {
			check(b, s.Commit(&batch))
			batch.Reset()
		}
	}
	keys := make([]TombstoneKey, 100)
	for i := range keys {
		keys[i] = TombstoneKey{"other", fmt.Sprint(i)}
	}
	var found [][]byte
	for b.Loop() {
		var err error
		found, err = s.Tombstones(keys, found)
		check(b, err)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keys)), "ns/lookup")
}

// Entries that were removed before must not cost time again.
func BenchmarkExpire(b *testing.B) {
	const step = 64
	s := open(b, b.TempDir(), Options{})
	var batch Batch
	put, expired := 0, 0
	for b.Loop() {
		if expired+step > put {
			b.StopTimer()
			for range 1000 {
				batch.Reset()
				for range step {
					batch.PutTombstone("proxy", fmt.Sprint(put), []byte("a tombstone of usual length"), time.Duration(put))
					put++
				}
				check(b, s.Commit(&batch))
			}
			b.StartTimer()
		}
		expired += step
		_, err := s.ExpireTombstones(time.Duration(expired), step)
		check(b, err)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*step), "ns/tombstone")
}
