package track

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/fxamacker/cbor/v2"

	"smithproxy_exporter/exporter/event"
)

// Past is the content of an id's tombstone: its finished connections, so that a later repeat is not taken for a new
// connection.
type Past struct {
	_ struct{} `cbor:",toarray"`
	// First is the N of Ended[0].
	First uint32
	Ended []EndedConnection
}

// EndedConnection is one finished connection of an id. Its zero value is a connection that is not finished.
type EndedConnection struct {
	_ struct{} `cbor:",toarray"`
	// Client is a hash of the client's host and port, 0 when they are unknown.
	Client uint32
	Got    parts
	Cause  Cause
}

// maxEnded bounds Past.Ended; PTR ids are reused.
const maxEnded = 16

// latest returns the N of the last connection.
func (p *Past) latest() uint32 { return p.First + uint32(len(p.Ended)) - 1 }

// Has reports whether the n-th connection of the id is finished.
func (p *Past) Has(n uint32) bool {
	if len(p.Ended) == 0 || n > p.latest() {
		return false
	}
	return n < p.First || p.Ended[n-p.First].Cause != causeNone
}

// add adds the n-th connection of the id.
func (p *Past) add(n uint32, e EndedConnection) {
	if len(p.Ended) == 0 || n > p.latest()+maxEnded {
		p.First, p.Ended = n, nil
	}
	if n < p.First {
		return
	}
	for p.latest() < n { // the ones between are still closing
		p.Ended = append(p.Ended, EndedConnection{})
	}
	p.Ended[n-p.First] = e
	if extra := len(p.Ended) - maxEnded; extra > 0 {
		p.Ended = append([]EndedConnection(nil), p.Ended[extra:]...)
		p.First += uint32(extra)
	}
}

// match returns the index of the latest connection whose client is the label's; an unknown client matches every
// other. found is false if no connection matches.
func (p *Past) match(label string) (i int, found bool) {
	hash := clientHash(label)
	for i := len(p.Ended) - 1; i >= 0; i-- {
		if e := p.Ended[i]; e.Cause != causeNone && (hash == 0 || e.Client == 0 || e.Client == hash) {
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

// DecodePast decodes a tombstone.
func DecodePast(encoded []byte) (*Past, error) {
	p := new(Past)
	if err := cbor.Unmarshal(encoded, p); err != nil {
		return nil, fmt.Errorf("tombstone: %w", err)
	}
	if len(p.Ended) == 0 || len(p.Ended) > maxEnded || p.First == 0 {
		return nil, fmt.Errorf("tombstone: %d connections from the %d-th on", len(p.Ended), p.First)
	}
	return p, nil
}

// recentPasts is how many of the latest tombstones are held in memory. They need no lookup in the store, which does not
// have the tombstones of the current batch yet.
const recentPasts = 16_384

// pasts are the latest tombstones of all proxies.
type pasts struct {
	byID  map[pastKey]*remembered
	queue queue[pastKey] // in the order in which they were put
}

type pastKey struct{ source, id string }

type remembered struct {
	*Past
	puts int // entries in the queue
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
	r.puts++
	p.queue.push(key)
	for p.queue.len() > recentPasts {
		oldest, _ := p.queue.peek()
		p.queue.pop()
		if r := p.byID[oldest]; r.puts == 1 {
			delete(p.byID, oldest)
		} else {
			r.puts--
		}
	}
}

// Tombstone is a Past to be written to the store. At is a running time.
type Tombstone struct {
	Source, ID string
	Past       *Past
	At         time.Duration
}
