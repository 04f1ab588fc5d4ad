package track

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// Kind is the kind of a stored record. The numbers are part of the stored format.
type Kind uint8

// The kinds, in the order in which records are restored.
const (
	KindTracker Kind = iota + 1
	KindProxy
	KindConnection
	KindDecision
	KindNeighbor
)

// Writer collects changes that are written to the store in one transaction. It does not keep the encoded bytes after a
// method returns.
type Writer interface {
	// Put writes a record in place of the one that has the same kind, source and key.
	Put(kind Kind, source, key string, record []byte)
	// Remove removes a record.
	Remove(kind Kind, source, key string)
	// RemoveSource removes all records of a proxy.
	RemoveSource(source string)
	// PutTombstone writes the tombstone of an id, as of the given running time.
	PutTombstone(source, id string, tombstone []byte, at time.Duration)
}

// Changes writes everything that changed since the last call. A batch of events changes a bounded number of records.
func (t *Tracker) Changes(w Writer) {
	for _, source := range t.gone {
		if _, back := t.proxies[source]; !back {
			w.RemoveSource(source)
		}
	}
	for _, c := range t.closed {
		w.Remove(KindConnection, c.source, c.key)
	}
	for _, c := range t.touched {
		c.dirty = false
		if c.State != StateClosed {
			t.put(w, KindConnection, c.Source, recordKey(c), c.encode(t))
		}
	}
	for _, s := range t.tombstones {
		w.PutTombstone(s.Source, s.ID, t.encode(s.Past), s.At)
	}
	for _, p := range t.marked {
		p.marked = false
		if t.proxies[p.source] == p {
			t.proxyChanges(w, p)
		}
	}
	clear(t.marked)
	t.marked = t.marked[:0]
	clear(t.touched)
	t.touched, t.closed, t.tombstones, t.gone = t.touched[:0], t.closed[:0], t.tombstones[:0], nil
}

func (t *Tracker) proxyChanges(w Writer, p *proxy) {
	form := t.Privacy.Form()
	if p.dirty {
		p.dirty = false
		t.put(w, KindProxy, p.source, "", t.encode(p.state()))
	}
	for _, id := range p.decisions.removed {
		w.Remove(KindDecision, p.source, id)
	}
	p.decisions.removed = p.decisions.removed[:0]
	for _, d := range p.decisions.changed {
		if p.decisions.has(d) {
			t.put(w, KindDecision, p.source, d.ID, t.encode(&decisionState{*d, form}))
		}
	}
	p.decisions.changed = p.decisions.changed[:0]
	for address := range p.neighbors.changed {
		if e, ok := p.neighbors.byAddress[address]; ok {
			t.put(w, KindNeighbor, p.source, address, t.encode(e.Value.(*neighbor).state(form)))
		} else {
			w.Remove(KindNeighbor, p.source, address)
		}
	}
	clear(p.neighbors.changed)
}

// touch marks the record of a connection as changed.
func (t *Tracker) touch(c *Connection) {
	if !c.dirty {
		c.dirty = true
		t.touched = append(t.touched, c)
	}
}

func (t *Tracker) put(w Writer, kind Kind, source, key string, record []byte) {
	w.Put(kind, source, key, record)
}

// encode returns bytes that are valid until the next call.
func (t *Tracker) encode(v any) []byte {
	t.encoded.Reset()
	if err := encoder.MarshalToBuffer(v, &t.encoded); err != nil {
		panic(err) // Numbers and strings can be encoded.
	}
	return t.encoded.Bytes()
}

// recordKey returns the key of a connection's record, which is unique within a proxy.
func recordKey(c *Connection) string { return strconv.FormatUint(uint64(c.N), 10) + " " + c.ID }

// ConnectionOf parses the key of a record of KindConnection: the id of the connection, and its number among the
// connections with that id.
func ConnectionOf(key string) (id string, n uint32, ok bool) {
	number, id, ok := strings.Cut(key, " ")
	parsed, err := strconv.ParseUint(number, 10, 32)
	return id, uint32(parsed), ok && err == nil
}

// Rewrite is the progress of Tracker.Rewrite. The zero value is its beginning.
type Rewrite struct {
	proxy  int
	serial uint64
	begun  bool
}

// Rewrite writes the next records, and reports whether there are more. Called until it returns false, it writes all
// records, those of proxies that appear meanwhile included: for a store that lacks changes.
func (t *Tracker) Rewrite(r *Rewrite, w Writer) (more bool) {
	if r.proxy >= len(t.order) {
		return false
	}
	p := t.order[r.proxy]
	if !r.begun {
		r.begun = true
		p.dirty = true
		for d := range p.decisions.pending {
			p.decisions.changed = append(p.decisions.changed, d)
		}
		for address := range p.neighbors.byAddress {
			p.neighbors.changed[address] = struct{}{}
		}
		t.proxyChanges(w, p)
	}
	if t.walk(p, &r.serial, func(c *Connection) {
		t.put(w, KindConnection, c.Source, recordKey(c), c.encode(t))
	}) {
		return true
	}
	*r = Rewrite{proxy: r.proxy + 1}
	return true
}

var encoder, decoder = func() (cbor.UserBufferEncMode, cbor.DecMode) {
	enc, err := cbor.EncOptions{Time: cbor.TimeRFC3339Nano}.UserBufferEncMode()
	if err != nil {
		panic(err)
	}
	dec, err := cbor.DecOptions{}.DecMode()
	if err != nil {
		panic(err)
	}
	return enc, dec
}()

// trackerState is the record of the tracker itself.
type trackerState struct {
	Mono time.Duration `cbor:"1,keyasint"`
	Wall int64         `cbor:"2,keyasint"`
}

// EncodeClock returns a record of KindTracker with the running time, which the next run continues.
func (t *Tracker) EncodeClock(now Instant) []byte { return t.encode(trackerState{now.Mono, now.Wall}) }

// DecodeClock decodes a record of EncodeClock.
func DecodeClock(record []byte) (Instant, error) {
	var s trackerState
	if err := decoder.Unmarshal(record, &s); err != nil {
		return Instant{}, fmt.Errorf("clock: %w", err)
	}
	if s.Mono < 0 {
		return Instant{}, fmt.Errorf("clock: running time is %v", s.Mono)
	}
	return Instant{Wall: s.Wall, Mono: s.Mono}, nil
}
