package store

import "time"

// Kind is the kind of a record, from 0 to MaxKind. The caller says what each means. Load visits kinds in ascending
// order. The values are stored.
type Kind uint8

// MaxKind is the greatest Kind.
const MaxKind Kind = 7

// Batch collects what one Commit writes. The zero value is empty. All bytes are copied in. A Batch is not safe
// for concurrent use.
type Batch struct{ c *content }

// content is separate from Batch because a database that hangs may hold on to it.
type content struct {
	buf   []byte
	ops   []change
	spans []payload
	tombs []tombstone
	done  []doneEntry
	// counted is the generation of the history whose chunks have the entries.
	counted int
}

type changeKind uint8

const (
	putRecord changeKind = iota
	removeRecord
	removeSource
)

// change is a change of a record. Its key, without prefix and epoch, is buf[start:key], its record buf[key:end].
// For removeSource the key is the source.
type change struct {
	kind            changeKind
	start, key, end int
}

type tombstone struct {
	hash       hash
	at         time.Duration
	start, end int
}

type payload struct {
	id         uint64 // assigned by Commit
	meta       spanMeta
	start, end int
}

func (b *Batch) content() *content {
	if b.c == nil {
		b.c = &content{}
	}
	return b.c
}

// Put writes a record of a kind up to MaxKind; one with the same kind, source and key is replaced.
func (b *Batch) Put(k Kind, source, key string, record []byte) {
	c := b.content()
	op := change{kind: putRecord, start: len(c.buf)}
	c.buf = append(appendSource(c.buf, k, source), key...)
	op.key = len(c.buf)
	c.buf = append(c.buf, record...)
	op.end = len(c.buf)
	c.ops = append(c.ops, op)
}

// Remove removes a record, if it exists.
func (b *Batch) Remove(k Kind, source, key string) {
	c := b.content()
	op := change{kind: removeRecord, start: len(c.buf)}
	c.buf = append(appendSource(c.buf, k, source), key...)
	op.key, op.end = len(c.buf), len(c.buf)
	c.ops = append(c.ops, op)
}

// RemoveSource removes all records of a source that earlier calls have put. Its tombstones stay until they
// expire.
func (b *Batch) RemoveSource(source string) {
	c := b.content()
	op := change{kind: removeSource, start: len(c.buf)}
	c.buf = append(c.buf, source...)
	op.key, op.end = len(c.buf), len(c.buf)
	c.ops = append(c.ops, op)
}

// PutTombstone writes a tombstone; one with the same source and id is replaced, its time included. at is the
// exporter's running time: ExpireTombstones goes by it.
func (b *Batch) PutTombstone(source, id string, data []byte, at time.Duration) {
	c := b.content()
	start := len(c.buf)
	c.buf = append(c.buf, data...)
	c.tombs = append(c.tombs, tombstone{hashOf(source, id), at, start, len(c.buf)})
}

// AddSpans appends a payload to the spans that wait to be sent: an encoded message that holds that many
// spans.
func (b *Batch) AddSpans(encoded []byte, spans int) {
	c := b.content()
	start := len(c.buf)
	c.buf = append(c.buf, encoded...)
	c.spans = append(c.spans, payload{
		meta:  spanMeta{spans: uint32(spans), bytes: uint32(len(encoded))},
		start: start, end: len(c.buf),
	})
}

// AddHistory appends an entry to the history: a finished connection, by its source and name.
func (b *Batch) AddHistory(source, name string, entry []byte) {
	c := b.content()
	start := len(c.buf)
	c.buf = append(c.buf, entry...)
	c.done = append(c.done, doneEntry{name: nameHash(source, name), start: start, end: len(c.buf)})
}

// Len is the number of changes in the batch.
func (b *Batch) Len() int {
	if b.c == nil {
		return 0
	}
	return len(b.c.ops) + len(b.c.spans) + len(b.c.tombs) + len(b.c.done)
}

// Size is the number of bytes of keys and values in the batch.
func (b *Batch) Size() int {
	if b.c == nil {
		return 0
	}
	return len(b.c.buf)
}

// maxRetained bounds the memory that an empty Batch holds on to.
const maxRetained = 1 << 20

// Reset empties the batch and keeps its memory.
func (b *Batch) Reset() {
	if b.c == nil {
		return
	}
	if cap(b.c.buf) > maxRetained {
		b.c = nil
		return
	}
	c := b.c
	c.buf, c.ops, c.spans, c.tombs, c.done = c.buf[:0], c.ops[:0], c.spans[:0], c.tombs[:0], c.done[:0]
}
