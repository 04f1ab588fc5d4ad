package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/big"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// salvage builds a new store from what can be read of a damaged one, without its manifest: all tables and logs
// are merged, the newest version of a key wins. The damaged store is kept in damagedDir. Returns the number of
// pieces that could not be read, at least 1.
func (s *Store) salvage() (bad int, err error) {
	fs := s.newFS()
	dir, fresh := s.dir, filepath.Join(s.path, salvageDir)
	m := &merge{s: s}
	defer m.close()
	if err := m.open(fs, dir); err != nil {
		return 0, err
	}
	if err := fs.RemoveAll(fresh); err != nil {
		return 0, err
	}
	in, err := s.openInstance(fresh, false)
	if err != nil {
		return 0, err
	}
	err = m.copyTo(in)
	if err == nil {
		err = in.db.Flush()
	}
	select {
	case <-in.dead:
		err = in.err
	default:
	}
	closed := in.db.Close()
	in.die(errClosed)
	if err = errors.Join(err, closed); err != nil {
		return 0, err
	}
	// The marker comes last: with it, the salvaged store is complete.
	if err := writeFormat(fs, fresh); err != nil {
		return 0, err
	}
	aside := filepath.Join(s.path, damagedDir)
	if err := fs.RemoveAll(aside); err != nil {
		return 0, err
	}
	if err := fs.Rename(dir, aside); err != nil {
		return 0, err
	}
	if err := fs.Rename(fresh, dir); err != nil {
		return 0, err
	}
	return max(1, m.bad), syncDir(fs, s.path)
}

// version is a version of a key.
type version struct {
	key, value []byte
	seq        uint64
	set        bool // or deleted
}

// source yields versions in ascending order of keys, newest first.
type source interface {
	next() (version, bool)
}

type rangeDelete struct {
	start, end []byte
	seq        uint64
}

type merge struct {
	s       *Store
	sources []source
	heads   []*version
	deletes []rangeDelete
	closers []io.Closer
	bad     int
}

func (m *merge) close() {
	for _, c := range m.closers {
		c.Close()
	}
}

// open opens all tables and logs. Errors of the disk, as opposed to damage, are returned.
func (m *merge) open(fs *diskFS, dir string) error {
	names, err := fs.List(dir)
	if err != nil {
		return err
	}
	options := (&instance{s: m.s, fs: fs}).options()
	options.EnsureDefaults()
	for _, name := range names {
		if strings.HasSuffix(name, ".sst") {
			if err := m.openTable(fs, filepath.Join(dir, name), options); err != nil {
				if fs.troubled.Load() {
					return err
				}
				m.bad++
			}
		}
	}
	logs, err := readLogs(fs, filepath.Join(dir, logDir))
	if err != nil {
		return err
	}
	var versions []version
	for _, l := range logs {
		m.bad += l.bad
		for _, b := range l.batches {
			versions = m.addBatch(versions, b)
		}
	}
	slices.SortFunc(versions, func(a, b version) int {
		if c := bytes.Compare(a.key, b.key); c != 0 {
			return c
		}
		return int(int64(b.seq - a.seq))
	})
	m.sources = append(m.sources, &sliceSource{versions})
	return nil
}

// addBatch adds what a batch of the log says.
func (m *merge) addBatch(versions []version, repr []byte) []version {
	seq := uint64(batchrepr.ReadSeqNum(repr))
	for r := batchrepr.Read(repr); ; seq++ {
		kind, key, value, ok, err := r.Next()
		if err != nil {
			m.bad++
		}
		if !ok || err != nil {
			return versions
		}
		switch kind {
		case pebble.InternalKeyKindRangeDelete:
			m.deletes = append(m.deletes, rangeDelete{key, value, seq})
		default:
			versions = append(versions, version{key, value, seq, kind == pebble.InternalKeyKindSet})
		}
	}
}

type sliceSource struct{ rest []version }

func (s *sliceSource) next() (v version, ok bool) {
	if len(s.rest) == 0 {
		return v, false
	}
	v, s.rest = s.rest[0], s.rest[1:]
	return v, true
}

func (m *merge) openTable(fs *diskFS, name string, o *pebble.Options) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("read table: panic: %v", r)
		}
	}()
	f, err := fs.Open(name)
	if err != nil {
		return err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		f.Close()
		return err
	}
	r, err := sstable.NewReader(context.Background(), readable, o.MakeReaderOptions())
	if err != nil {
		return err // closes readable
	}
	m.closers = append(m.closers, r)
	deletes, err := r.NewRawRangeDelIter(context.Background(), sstable.NoFragmentTransforms, sstable.NoReadEnv)
	if err != nil {
		m.bad++
	} else if deletes != nil {
		span, err := deletes.First()
		for ; span != nil && err == nil; span, err = deletes.Next() {
			for _, k := range span.Keys {
				m.deletes = append(m.deletes, rangeDelete{
					bytes.Clone(span.Start), bytes.Clone(span.End), uint64(k.SeqNum()),
				})
			}
		}
		if err != nil {
			m.bad++
		}
		deletes.Close()
	}
	it, err := r.NewIter(sstable.NoTransforms, nil, nil, sstable.AssertNoBlobHandles)
	if err != nil {
		return err
	}
	// Iterators are closed before their tables.
	m.closers = slices.Insert[[]io.Closer, io.Closer](m.closers, 0, it)
	m.sources = append(m.sources, &tableSource{m: m, it: it})
	return nil
}

type tableSource struct {
	m       *merge
	it      sstable.Iterator
	begun   bool
	done    bool
	bad     int
	lastKey []byte
}

const (
	minResumeKey = 9
	maxResumeKey = 64
	// maxBadBlocks is after how many damaged blocks the rest of a table is given up.
	maxBadBlocks = 50
)

func (t *tableSource) next() (v version, ok bool) {
	defer func() {
		if r := recover(); r != nil {
			t.done, ok = true, false
			t.m.bad++
		}
	}()
	if t.done {
		return v, false
	}
	kv := t.it.Next
	if !t.begun {
		kv, t.begun = t.it.First, true
	}
	found := kv()
	if found == nil && t.it.Error() != nil && t.bad < maxBadBlocks {
		t.m.bad++
		t.bad++
		found = t.it.SeekGE(t.resume(), 0)
	}
	if found == nil {
		t.done = true
		return v, false
	}
	value, _, err := found.Value(nil)
	if err != nil {
		t.m.bad++
	}
	t.lastKey = append(t.lastKey[:0], found.K.UserKey...)
	kind := found.Kind()
	return version{
		bytes.Clone(found.K.UserKey), bytes.Clone(value), uint64(found.SeqNum()),
		err == nil && (kind == pebble.InternalKeyKindSet || kind == pebble.InternalKeyKindSetWithDelete),
	}, true
}

// resume finds a key to seek to behind a damaged block: SeekGE fails for keys from the last one read to the last of
// the block. The distance to that is unknown; it is multiplied by 8 until SeekGE succeeds, then bisected to
// a fraction of it, since each failure costs some 50 ms: pebble looks for a flipped bit.
func (t *tableSource) resume() []byte {
	size := min(max(len(t.lastKey)+1, minResumeKey), maxResumeKey)
	last := new(big.Int).SetBytes(append(bytes.Clone(t.lastKey), make([]byte, size)...)[:size])
	end := new(big.Int).SetBytes(bytes.Repeat([]byte{0xff}, size))
	buf := make([]byte, size)
	fails := func(at *big.Int) bool {
		t.it.SeekGE(at.FillBytes(buf), 0)
		return t.it.Error() != nil
	}
	low, step := last, big.NewInt(1)
	high := new(big.Int).Add(last, step)
	for high.Cmp(end) < 0 && fails(high) {
		low = high
		step = new(big.Int).Lsh(step, 3)
		high = new(big.Int).Add(last, step)
	}
	if high.Cmp(end) > 0 {
		high = end
	}
	for range 16 {
		mid := new(big.Int).Add(low, high)
		if mid.Rsh(mid, 1); fails(mid) {
			low = mid
		} else {
			high = mid
		}
	}
	return high.FillBytes(buf)
}

// covered tells whether a range deletion deletes a version.
func (m *merge) covered(v version) bool {
	return slices.ContainsFunc(m.deletes, func(d rangeDelete) bool {
		return d.seq > v.seq && bytes.Compare(d.start, v.key) <= 0 && bytes.Compare(v.key, d.end) < 0
	})
}

// copyBytes is about how much is committed at a time.
const copyBytes = 1 << 20

func (m *merge) copyTo(in *instance) error {
	m.heads = make([]*version, len(m.sources))
	advance := func(i int) {
		m.heads[i] = nil
		if v, ok := m.sources[i].next(); ok {
			m.heads[i] = &v
		}
	}
	for i := range m.sources {
		advance(i)
	}
	b := in.db.NewBatch()
	defer func() { b.Close() }()
	indexed := map[uint64]struct{}{}
	for {
		var newest *version
		for _, v := range m.heads {
			if v == nil {
				continue
			}
			if newest != nil {
				if c := bytes.Compare(v.key, newest.key); c > 0 || c == 0 && v.seq <= newest.seq {
					continue
				}
			}
			newest = v
		}
		if newest == nil {
			return in.db.Apply(b, pebble.Sync)
		}
		for i := range m.heads {
			for m.heads[i] != nil && bytes.Equal(m.heads[i].key, newest.key) {
				advance(i)
			}
		}
		if !newest.set || m.covered(*newest) {
			continue
		}
		m.emit(b, *newest, indexed)
		if b.Len() > copyBytes {
			if err := in.db.Apply(b, pebble.Sync); err != nil {
				return err
			}
			b.Close()
			b = in.db.NewBatch()
		}
	}
}

// emit writes an entry, and what belongs to it and may be lost.
func (m *merge) emit(b *pebble.Batch, v version, indexed map[uint64]struct{}) {
	b.Set(v.key, v.value, nil)
	switch {
	case v.key[0] == prefixIndex && len(v.key) == 9:
		indexed[binary.BigEndian.Uint64(v.key[1:])] = struct{}{}
	case v.key[0] == prefixSpan && len(v.key) == 9:
		id := binary.BigEndian.Uint64(v.key[1:])
		if _, ok := indexed[id]; !ok {
			// How many spans it holds is lost.
			meta := spanMeta{1, uint32(len(v.value)), time.Now().UnixMilli()}
			b.Set(idKey(prefixIndex, id), meta.append(nil), nil)
		}
	case v.key[0] == prefixTomb && len(v.key) == 1+hashSize && len(v.value) >= 8:
		b.Set(expiryKey(readAt(v.value), hash(v.key[1:])), nil, nil)
	}
}
