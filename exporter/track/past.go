package track

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/fxamacker/cbor/v2"

	"smithproxy_exporter/exporter/event"
)

// Past is the tombstone of an id: what stays of its finished connections, so that a repeat that comes
// later is known for one and not taken for a new connection.
type Past struct {
	_ struct{} `cbor:",toarray"`
	// First is the N of Ended[0].
	First uint32
	Ended []Grave
}

// Grave is one finished connection of an id.
type Grave struct {
	_ struct{} `cbor:",toarray"`
	// Client is a hash of the client's host and port, 0 when they are unknown.
	Client uint32
	Got    parts
	Cause  Cause
}

// maxGraves bounds the connections of one id that are remembered; PTR ids come again.
const maxGraves = 16

// latest is the N of the last connection.
func (p *Past) latest() uint32 { return p.First + uint32(len(p.Ended)) - 1 }

// Has reports whether the n-th connection of the id is finished.
func (p *Past) Has(n uint32) bool {
	if len(p.Ended) == 0 || n > p.latest() {
		return false
	}
	return n < p.First || p.Ended[n-p.First].Cause != causeNone
}

// add notes the n-th connection of the id.
func (p *Past) add(n uint32, g Grave) {
	if len(p.Ended) == 0 || n > p.latest()+maxGraves {
		p.First, p.Ended = n, nil
	}
	if n < p.First {
		return
	}
	for p.latest() < n { // those in between are closing still
		p.Ended = append(p.Ended, Grave{})
	}
	p.Ended[n-p.First] = g
	if extra := len(p.Ended) - maxGraves; extra > 0 {
		p.Ended = append([]Grave(nil), p.Ended[extra:]...)
		p.First += uint32(extra)
	}
}

// match returns the connection that a label is of: the latest one that has its client, or the latest one
// when either is not known. found is false when the label names another client than all of them.
func (p *Past) match(label string) (i int, found bool) {
	hash := clientHash(label)
	for i := len(p.Ended) - 1; i >= 0; i-- {
		if g := p.Ended[i]; g.Cause != causeNone && (hash == 0 || g.Client == 0 || g.Client == hash) {
			return i, true
		}
	}
	return 0, false
}

func clientHash(label string) uint32 {
	c := event.ParseSession(label).Client
	if !c.Known() {
		return 0
	}
	h := fnv.New32a()
	fmt.Fprintf(h, "%s:%d", c.Host, c.Port)
	return max(1, h.Sum32())
}

// DecodePast reads what a tombstone holds.
func DecodePast(encoded []byte) (*Past, error) {
	p := new(Past)
	if err := cbor.Unmarshal(encoded, p); err != nil {
		return nil, fmt.Errorf("tombstone: %w", err)
	}
	if len(p.Ended) == 0 || len(p.Ended) > maxGraves || p.First == 0 {
		return nil, fmt.Errorf("tombstone: %d connections from the %d-th on", len(p.Ended), p.First)
	}
	return p, nil
}

// memory is how many of the latest tombstones are held in memory. They need not be looked up in the store,
// which does not have those of the batch that is being worked on.
const memory = 16_384

// pasts are the latest tombstones of all proxies.
type pasts struct {
	byID  map[pastKey]*remembered
	queue queue[pastKey] // as they were written
}

type pastKey struct{ source, id string }

type remembered struct {
	*Past
	writes int // in the queue
}

func newPasts() pasts { return pasts{byID: map[pastKey]*remembered{}} }

func (p *pasts) get(source, id string) (*Past, bool) {
	r, ok := p.byID[pastKey{source, id}]
	if !ok {
		return nil, false
	}
	return r.Past, true
}

func (p *pasts) put(source, id string, past *Past) {
	key := pastKey{source, id}
	r, ok := p.byID[key]
	if !ok {
		r = &remembered{}
		p.byID[key] = r
	}
	r.Past = past
	r.writes++
	p.queue.push(key)
	for p.queue.len() > memory {
		oldest, _ := p.queue.peek()
		p.queue.pop()
		if r := p.byID[oldest]; r.writes == 1 {
			delete(p.byID, oldest)
		} else {
			r.writes--
		}
	}
}

// Tombstone is a Past to be written to the store.
type Tombstone struct {
	Source, ID string
	Past       *Past
	At         time.Duration
}
