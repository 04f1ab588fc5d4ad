package store

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// The history is a sequence of numbered entries. It is divided into chunks, which the name index is divided by as well, so
// that the oldest one is removed by range deletions: nothing of it is read, and no commit waits for longer than a moment.

// HistoryLimits bound the history.
type HistoryLimits struct {
	// MaxSize bounds the size of all entries in bytes; the history never takes more than a quarter of Config.MaxSize.
	MaxSize int64
	// MaxAge is how long an entry is kept; 0 keeps none.
	MaxAge time.Duration
}

const (
	historyShare = 0.25 // of MaxSize of the store
	// A chunk ends after chunkEntries, or after a chunkShare-th part of the limit.
	chunkEntries, chunkShare = 8192, 64
	// doneOverhead is what an entry takes beside its data: two keys and a time.
	doneOverhead = 9 + 8 + nameKeySize
	// maxMemoryHistory bounds the entries that are kept in memory during an outage, in bytes; the oldest are dropped.
	maxMemoryHistory = 4 << 20
	nameHashSize     = 8
	nameKeySize      = 1 + 4 + nameHashSize + 8
)

// history is the state of the history. Guarded by Store.mu.
type history struct {
	next    uint64  // number of the next entry
	chunks  []chunk // on disk, oldest first
	bytes   int64   // of all chunks
	entries int64   // of all chunks
	mem     []memoryEntry
	memSize int64
	// chunkBytes is how large a chunk gets.
	chunkBytes int64
	// cleared is set if there is nothing that another configuration left.
	cleared bool
	// generation counts calls of found.
	generation int
}

// chunk is a part of the history.
type chunk struct {
	index   uint32
	first   uint64 // its lowest number
	entries int64
	bytes   int64
	oldest  int64 // Unix ms, of the first entry
	newest  int64
}

// doneEntry is an entry in a batch.
type doneEntry struct {
	name       [nameHashSize]byte
	number     uint64 // assigned by Commit
	at         int64  // Unix ms
	chunk      uint32 // assigned by count
	start, end int
}

// memoryEntry is an entry that waits in memory, because the disk did not take it.
type memoryEntry struct {
	doneEntry
	data []byte
}

// nameHash identifies a connection in the name index; different ones may share it.
func nameHash(source, name string) (h [nameHashSize]byte) {
	var buf [128]byte
	b := binary.AppendUvarint(buf[:0], uint64(len(source)))
	b = append(append(b, source...), name...)
	sum := sha256.Sum256(b)
	copy(h[:], sum[:])
	return h
}

// historyKey orders entries from the newest to the oldest.
func historyKey(number uint64) []byte { return idKey(prefixHistory, ^number) }

func numberOf(key []byte) uint64 { return ^binary.BigEndian.Uint64(key[1:]) }

func chunkKey(index uint32) []byte { return binary.BigEndian.AppendUint32([]byte{prefixChunk}, index) }

// namePrefix is what the keys of a name in a chunk begin with.
func namePrefix(index uint32, name [nameHashSize]byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{prefixName}, index), name[:]...)
}

const chunkSize = 8 + 5*8

func (c *chunk) append(b []byte) []byte {
	for _, n := range []uint64{uint64(c.index), c.first, uint64(c.entries), uint64(c.bytes), uint64(c.oldest), uint64(c.newest)} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

func readChunk(b []byte) (c chunk, ok bool) {
	if len(b) != chunkSize {
		return c, false
	}
	n := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
	return chunk{uint32(n(0)), n(1), int64(n(2)), int64(n(3)), int64(n(4)), int64(n(5))}, true
}

// historyLimit is the bound of the history in bytes.
func (s *Store) historyLimit() int64 {
	return min(s.opt.History.MaxSize, int64(historyShare*float64(s.opt.MaxSize)))
}

// number gives the entries of a batch their numbers and their time, or drops them if no history is kept. Called with mu.
func (s *Store) number(c *content, now int64) {
	if s.opt.History.MaxAge <= 0 {
		c.done = c.done[:0]
	}
	for i := range c.done {
		c.done[i].number, c.done[i].at = s.history.next, now
		s.history.next++
	}
}

func (e *doneEntry) size() int64 { return doneOverhead + int64(e.end-e.start) }

// count adds entries that are being written to the chunks. Called with mu.
func (h *history) count(c *content) {
	c.counted = h.generation
	for i := range c.done {
		e := &c.done[i]
		if n := len(h.chunks); n == 0 || h.chunks[n-1].entries >= chunkEntries || h.chunks[n-1].bytes >= h.chunkBytes {
			added := chunk{index: 1, first: e.number, oldest: e.at}
			if n > 0 {
				added.index = h.chunks[n-1].index + 1
			}
			h.chunks = append(h.chunks, added)
		}
		last := &h.chunks[len(h.chunks)-1]
		e.chunk = last.index
		last.newest = max(last.newest, e.at)
		h.change(last, 1, e.size())
	}
}

// uncount takes entries out again that were not written. Called with mu.
func (h *history) uncount(c *content) {
	if c.counted != h.generation {
		return
	}
	for i := range c.done {
		e := &c.done[i]
		if found := h.chunk(e.chunk); found != nil {
			h.change(found, -1, -e.size())
		}
	}
	for n := len(h.chunks); n > 0 && h.chunks[n-1].entries <= 0; n-- {
		h.chunks = h.chunks[:n-1]
	}
}

func (h *history) change(c *chunk, entries, bytes int64) {
	c.entries += entries
	c.bytes += bytes
	h.entries += entries
	h.bytes += bytes
}

// chunk returns the chunk with the index, nil if there is none.
func (h *history) chunk(index uint32) *chunk {
	if len(h.chunks) == 0 {
		return nil
	}
	i := int64(index) - int64(h.chunks[0].index)
	if i < 0 || i >= int64(len(h.chunks)) || h.chunks[i].index != index {
		return nil
	}
	return &h.chunks[i]
}

// putHistory adds the entries of a commit to a batch, with the chunks that they are in. It runs on the worker, as does
// what removes entries: so the chunks on disk always match the entries.
func (in *instance) putHistory(b *pebble.Batch, c *content) {
	written := uint32(0)
	for i := range c.done {
		e := &c.done[i]
		d := b.SetDeferred(9, 8+e.end-e.start)
		d.Key[0] = prefixHistory
		binary.BigEndian.PutUint64(d.Key[1:], ^e.number)
		binary.BigEndian.PutUint64(d.Value, uint64(e.at))
		copy(d.Value[8:], c.buf[e.start:e.end])
		d.Finish()
		d = b.SetDeferred(nameKeySize, 0)
		d.Key[0] = prefixName
		binary.BigEndian.PutUint32(d.Key[1:], e.chunk)
		copy(d.Key[5:], e.name[:])
		binary.BigEndian.PutUint64(d.Key[5+nameHashSize:], e.number)
		d.Finish()
		if e.chunk != written {
			written = e.chunk
			in.putChunk(b, e.chunk)
		}
	}
}

// putChunk writes what is known of a chunk.
func (in *instance) putChunk(b *pebble.Batch, index uint32) {
	in.s.mu.Lock()
	defer in.s.mu.Unlock()
	if c := in.s.history.chunk(index); c != nil {
		b.Set(chunkKey(index), c.append(nil), nil)
	}
}

// keepHistory keeps the entries of a batch in memory. Called with mu.
func (s *Store) keepHistory(c *content) {
	h := &s.history
	for i := range c.done {
		e := c.done[i]
		data := append([]byte(nil), c.buf[e.start:e.end]...)
		e.start, e.end = 0, len(data)
		h.mem = append(h.mem, memoryEntry{e, data})
		h.memSize += e.size()
	}
	dropped := 0
	for ; h.memSize > maxMemoryHistory; dropped++ {
		h.memSize -= h.mem[dropped].size()
		h.mem[dropped].data = nil
	}
	h.mem = h.mem[dropped:]
}

// kept returns some of the entries in memory, the oldest first, as the content of a batch. Called with mu.
func (h *history) kept() *content {
	c := new(content)
	for _, m := range h.mem[:min(len(h.mem), recoverStep)] {
		e := m.doneEntry
		e.start = len(c.buf)
		c.buf = append(c.buf, m.data...)
		e.end = len(c.buf)
		c.done = append(c.done, e)
	}
	return c
}

// written forgets entries in memory that are on disk now. Called with mu.
func (h *history) written(c *content) {
	if len(c.done) == 0 {
		return
	}
	n := 0
	for last := c.done[len(c.done)-1].number; n < len(h.mem) && h.mem[n].number <= last; n++ {
		h.memSize -= h.mem[n].size()
		h.mem[n].data = nil
	}
	if h.mem = h.mem[n:]; len(h.mem) == 0 {
		h.mem = nil
	}
}

// found replaces what is known of the entries on disk. Called with mu.
func (h *history) found(chunks []chunk, last uint64) {
	h.chunks, h.entries, h.bytes = chunks, 0, 0
	for i := range chunks {
		h.entries += chunks[i].entries
		h.bytes += chunks[i].bytes
	}
	h.next = max(h.next, last+1)
	h.cleared = len(chunks) == 0 && last == 0
	h.generation++
}

// surveyHistory reads the chunks and the number of the newest entry.
func (in *instance) surveyHistory() (chunks []chunk, last uint64, err error) {
	err = in.each(prefixChunk, func(_, value []byte) {
		c, ok := readChunk(value)
		if n := len(chunks); ok && (n == 0 || c.index == chunks[n-1].index+1) {
			chunks = append(chunks, c)
		} else if ok {
			chunks = append(chunks[:0], c) // those before a gap cannot be told apart any more
		}
	})
	if err != nil {
		return nil, 0, err
	}
	it, err := in.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixHistory}, UpperBound: []byte{prefixHistory + 1}})
	if err != nil {
		return nil, 0, err
	}
	if it.First() && len(it.Key()) == 9 {
		last = numberOf(it.Key())
	}
	err = it.Close()
	if damaged(err) { // it is not worth a repair
		err = nil
	}
	return chunks, last, err
}
