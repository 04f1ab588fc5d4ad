package store

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// writtenStore holds 2000 records, tombstones and spans, some in tables, the last in the log.
func writtenStore(t *testing.T) string {
	t.Helper()
	path := t.TempDir()
	s := open(t, path, Options{})
	filler := strings.Repeat("x", 200)
	for i := range 2000 {
		var b Batch
		b.Put(KindConnection, "p", fmt.Sprintf("%05d", i), fmt.Appendf(nil, "%05d%s", i, filler))
		b.PutTombstone("p", fmt.Sprintf("%05d", i), fmt.Appendf(nil, "%05d", i), time.Duration(i))
		b.AddSpans(fmt.Appendf(nil, "%05d%s", i, filler), 1)
		check(t, s.Commit(&b))
		if i == 500 || i == 1000 {
			check(t, s.inst.db.Flush())
		}
	}
	check(t, s.Close())
	return path
}

// found opens a damaged store and counts what is there. All of it must be what was written.
func found(t *testing.T, path string) (records, payloads, tombs int, c *counts) {
	t.Helper()
	c = &counts{}
	s := open(t, path, Options{Metrics: c})
	waitWritable(t, s)
	for key, value := range load(t, s) {
		records++
		if key != "2/p/"+value[:5] {
			t.Fatalf("%s: %s", key, value)
		}
	}
	check(t, s.Spans(0, func(id uint64, _ int, encoded []byte) bool {
		payloads++
		if fmt.Sprintf("%05d", id-1) != string(encoded[:5]) {
			t.Fatalf("%d: %s", id, encoded)
		}
		return true
	}))
	pending, _ := s.Pending()
	equal(t, "pending", pending, payloads)
	keys := make([]TombstoneKey, 2000)
	for i := range keys {
		keys[i] = TombstoneKey{"p", fmt.Sprintf("%05d", i)}
	}
	for i, data := range tombstones(t, s, keys...) {
		switch string(data) {
		case keys[i].ID:
			tombs++
		case "":
		default:
			t.Errorf("tombstone %s is %s", keys[i].ID, data)
		}
	}
	// It goes on as any store.
	var b Batch
	b.Put(KindProxy, "p", "", nil)
	check(t, s.Commit(&b))
	check(t, s.Close())
	again := &counts{}
	s = open(t, path, Options{Metrics: again})
	equal(t, "records later", len(load(t, s)), records+1)
	// A damaged payload stays in its table until the table is merged.
	if n := again.damaged.Load(); n > 0 && payloads == records {
		t.Errorf("%d damaged later", n)
	}
	check(t, s.Close())
	return records, payloads, tombs, c
}

func files(t *testing.T, path, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(path, storeDir, pattern))
	check(t, err)
	slices.Sort(names)
	if len(names) == 0 {
		t.Fatalf("no %s", pattern)
	}
	return names
}

// largest is the largest file of a pattern.
func largest(t *testing.T, path, pattern string) string {
	return slices.MaxFunc(files(t, path, pattern), func(a, b string) int {
		x, _ := os.Stat(a)
		y, _ := os.Stat(b)
		return int(x.Size() - y.Size())
	})
}

func flip(t *testing.T, name string, at float64, n int) {
	t.Helper()
	data, err := os.ReadFile(name)
	check(t, err)
	for i := range n {
		data[int(at*float64(len(data)))+i] ^= 0x55
	}
	check(t, os.WriteFile(name, data, fileMode))
}

func TestDamage(t *testing.T) {
	written := os.DirFS(writtenStore(t))
	for _, c := range []struct {
		name    string
		damage  func(t *testing.T, path string)
		least   int // of records, payloads and tombstones each
		counted bool
	}{
		{"none", func(*testing.T, string) {}, 2000, false},
		{"truncated log", func(t *testing.T, path string) {
			name := largest(t, path, "wal/*.log")
			info, err := os.Stat(name)
			check(t, err)
			check(t, os.Truncate(name, info.Size()/2))
		}, 1400, false},
		{"garbage behind the log", func(t *testing.T, path string) {
			f, err := os.OpenFile(largest(t, path, "wal/*.log"), os.O_WRONLY|os.O_APPEND, 0)
			check(t, err)
			f.WriteString(strings.Repeat("garbage", 10000))
			check(t, f.Close())
		}, 2000, false},
		{"bytes in the log", func(t *testing.T, path string) { flip(t, largest(t, path, "wal/*.log"), 0.5, 3) }, 1800, true},
		{"block of a table", func(t *testing.T, path string) { flip(t, largest(t, path, "*.sst"), 0.3, 3) }, 1000, true},
		{"many blocks", func(t *testing.T, path string) {
			for i := range 5 {
				flip(t, largest(t, path, "*.sst"), 0.1+float64(i)*0.15, 3)
			}
		}, 900, true},
		{"end of a table", func(t *testing.T, path string) { flip(t, largest(t, path, "*.sst"), 0.999, 3) }, 900, true},
		{"missing table", func(t *testing.T, path string) { check(t, os.Remove(largest(t, path, "*.sst"))) }, 900, true},
		{"empty table", func(t *testing.T, path string) { check(t, os.Truncate(largest(t, path, "*.sst"), 0)) }, 900, true},
		{"manifest", func(t *testing.T, path string) { flip(t, largest(t, path, "MANIFEST-*"), 0.3, 3) }, 2000, true},
		{"empty manifest", func(t *testing.T, path string) { check(t, os.Truncate(largest(t, path, "MANIFEST-*"), 0)) }, 2000, true},
		{"missing manifest", func(t *testing.T, path string) { check(t, os.Remove(largest(t, path, "MANIFEST-*"))) }, 2000, true},
		{"missing markers", func(t *testing.T, path string) {
			for _, name := range files(t, path, "marker.*") {
				check(t, os.Remove(name))
			}
		}, 2000, true},
		{"missing log directory", func(t *testing.T, path string) {
			check(t, os.RemoveAll(filepath.Join(path, storeDir, logDir)))
		}, 1000, false},
		{"options", func(t *testing.T, path string) { flip(t, largest(t, path, "OPTIONS-*"), 0.5, 50) }, 2000, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := t.TempDir()
			check(t, os.CopyFS(path, written))
			c.damage(t, path)
			records, payloads, tombs, counts := found(t, path)
			t.Logf("%d records, %d payloads, %d tombstones, %d damaged", records, payloads, tombs, counts.damaged.Load())
			if min(records, payloads, tombs) < c.least {
				t.Errorf("want %d", c.least)
			}
			if (counts.damaged.Load() > 0) != c.counted {
				t.Errorf("%d damaged", counts.damaged.Load())
			}
		})
	}
}

// A store that is salvaged lacks what a range deletion removed, and nothing else.
func TestSalvageHonoursRangeDeletions(t *testing.T) {
	path := t.TempDir()
	s := open(t, path, Options{})
	commit := func(change func(b *Batch)) {
		t.Helper()
		var b Batch
		change(&b)
		check(t, s.Commit(&b))
	}
	commit(func(b *Batch) {
		for _, source := range []string{"a", "b", "c"} {
			b.Put(KindConnection, source, "old", []byte(source))
		}
	})
	check(t, s.inst.db.Flush())
	commit(func(b *Batch) { b.RemoveSource("b") })
	commit(func(b *Batch) { b.Put(KindConnection, "b", "new", []byte("b")) })
	check(t, s.inst.db.Flush())
	check(t, s.Close())
	for _, name := range files(t, path, "MANIFEST-*") {
		check(t, os.Remove(name))
	}
	s = open(t, path, Options{})
	equal(t, "records", fmt.Sprint(load(t, s)), "map[2/a/old:a 2/b/new:b 2/c/old:c]")
}

// A payload whose entry in the index is lost is indexed again, and no other.
func TestSalvageIndexesPayloadsAgain(t *testing.T) {
	s := open(t, t.TempDir(), Options{})
	b := s.inst.db.NewBatch()
	defer b.Close()
	m, indexed := &merge{}, map[uint64]struct{}{}
	known := spanMeta{spans: 5, bytes: 3, stored: 7}
	for _, v := range []version{
		{key: idKey(prefixIndex, 1), value: known.append(nil)},
		{key: idKey(prefixSpan, 1), value: []byte("one")},
		{key: idKey(prefixSpan, 2), value: []byte("second")},
	} {
		m.emit(b, v, indexed)
	}
	check(t, s.inst.db.Apply(b, nil))
	for id, want := range map[uint64]spanMeta{1: known, 2: {spans: 1, bytes: 6}} {
		value, closer, err := s.inst.db.Get(idKey(prefixIndex, id))
		check(t, err)
		got, ok := readMeta(value)
		check(t, closer.Close())
		if id == 2 {
			got.stored = 0 // now
		}
		if !ok || got != want {
			t.Errorf("the index says %+v of payload %d, want %+v", got, id, want)
		}
	}
}
