// Package store is a stand-in until the real one is merged.
package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

type Kind uint8

var ErrBehind = errors.New("store is behind")

const MinSize = 64 << 20

type Options struct {
	Sync    bool
	MaxSize int64
	Logger  *slog.Logger
	Faults  func(op, path string) error
}

type TombstoneKey struct{ Source, ID string }

type op struct {
	key, value []byte
	del        bool
}
type Batch struct {
	ops   []op
	spans []op
	n     []int
}

func (b *Batch) Reset()      { b.ops, b.spans, b.n = b.ops[:0], b.spans[:0], b.n[:0] }
func (b *Batch) Empty() bool { return len(b.ops)+len(b.spans) == 0 }
func key(k Kind, source, key string) []byte {
	b := append([]byte{'r', byte(k)}, binary.AppendUvarint(nil, uint64(len(source)))...)
	return append(append(b, source...), key...)
}
func tkey(source, id string) []byte { return append([]byte{'t'}, key(0, source, id)...) }
func (b *Batch) Put(k Kind, source, name string, record []byte) {
	b.ops = append(b.ops, op{key(k, source, name), bytes.Clone(record), false})
}
func (b *Batch) Remove(k Kind, source, name string) {
	b.ops = append(b.ops, op{key(k, source, name), nil, true})
}
func (b *Batch) RemoveSource(source string) {}
func (b *Batch) PutTombstone(source, id string, tombstone []byte, at time.Duration) {
	b.ops = append(b.ops, op{tkey(source, id), bytes.Clone(tombstone), false})
}
func (b *Batch) AddSpans(encoded []byte, spans int) {
	b.spans = append(b.spans, op{value: bytes.Clone(encoded)})
	b.n = append(b.n, spans)
}

type Store struct {
	db    *pebble.DB
	mu    sync.Mutex
	next  uint64
	spans int
	added chan struct{}
}

func Open(path string, o Options) (*Store, error) {
	db, err := pebble.Open(path+"/store", &pebble.Options{})
	if err != nil {
		return nil, err
	}
	s := &Store{db: db, added: make(chan struct{}, 1), next: 1}
	_ = s.Spans(0, func(id uint64, n int, _ []byte) bool { s.next = id + 1; s.spans += n; return true })
	return s, nil
}

func (s *Store) Load(visit func(k Kind, source, key string, record []byte) error) error {
	it, _ := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte("r"), UpperBound: []byte("s")})
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		k := it.Key()
		n, m := binary.Uvarint(k[2:])
		if err := visit(Kind(k[1]), string(k[2+m:2+m+int(n)]), string(k[2+m+int(n):]), it.Value()); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) Commit(b *Batch) error {
	w := s.db.NewBatch()
	defer w.Close()
	for _, o := range b.ops {
		if o.del {
			_ = w.Delete(o.key, nil)
		} else {
			_ = w.Set(o.key, o.value, nil)
		}
	}
	s.mu.Lock()
	for i, o := range b.spans {
		k := binary.BigEndian.AppendUint64([]byte("s"), s.next)
		_ = w.Set(k, binary.AppendUvarint(nil, uint64(b.n[i])), nil)
		_ = w.Set(append([]byte("u"), k[1:]...), o.value, nil)
		s.next++
		s.spans += b.n[i]
	}
	s.mu.Unlock()
	err := w.Commit(pebble.NoSync)
	if len(b.spans) > 0 {
		select {
		case s.added <- struct{}{}:
		default:
		}
	}
	return err
}

func (s *Store) Writable() bool      { return true }
func (s *Store) BeginRewrite() error { return nil }
func (s *Store) EndRewrite() error   { return nil }
func (s *Store) Tombstones(keys []TombstoneKey, found [][]byte) ([][]byte, error) {
	for _, k := range keys {
		v, c, err := s.db.Get(tkey(k.Source, k.ID))
		if err != nil {
			found = append(found, nil)
			continue
		}
		found = append(found, bytes.Clone(v))
		c.Close()
	}
	return found, nil
}
func (s *Store) ExpireTombstones(before time.Duration, limit int) error { return nil }
func (s *Store) Spans(after uint64, visit func(id uint64, spans int, encoded []byte) bool) error {
	it, _ := s.db.NewIter(&pebble.IterOptions{LowerBound: binary.BigEndian.AppendUint64([]byte("u"), after+1), UpperBound: []byte("v")})
	defer it.Close()
	for it.First(); it.Valid(); it.Next() {
		id := binary.BigEndian.Uint64(it.Key()[1:])
		v, c, err := s.db.Get(append([]byte("s"), it.Key()[1:]...))
		if err != nil {
			continue
		}
		n, _ := binary.Uvarint(v)
		c.Close()
		if !visit(id, int(n), it.Value()) {
			break
		}
	}
	return nil
}
func (s *Store) RemoveSpans(ids []uint64) error {
	w := s.db.NewBatch()
	for _, id := range ids {
		k := binary.BigEndian.AppendUint64([]byte("s"), id)
		if v, c, err := s.db.Get(k); err == nil {
			n, _ := binary.Uvarint(v)
			c.Close()
			s.mu.Lock()
			s.spans -= int(n)
			s.mu.Unlock()
		}
		_ = w.Delete(k, nil)
		_ = w.Delete(append([]byte("u"), k[1:]...), nil)
	}
	return w.Commit(pebble.NoSync)
}
func (s *Store) SpansAdded() <-chan struct{}  { return s.added }
func (s *Store) Pending() (int, int64)        { s.mu.Lock(); defer s.mu.Unlock(); return s.spans, 0 }
func (s *Store) OldestSpan() time.Time        { return time.Time{} }
func (s *Store) Size() int64                  { return 0 }
func (s *Store) Close() error                 { return s.db.Close() }
