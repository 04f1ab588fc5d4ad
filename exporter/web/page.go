package web

import (
	"bytes"
	"context"
	"encoding/json"
	"runtime"
	"strconv"

	"smithproxy_exporter/exporter/track"
)

// The bounds of a call's work in the pipeline. Checking a connection takes 0.2 to 0.45 µs, mostly to fetch the record
// from memory and to parse its session label; copying it takes 0.1 to 0.2 µs more. Measured with 200,000 open
// connections, a query took 0.05 to 0.2 ms, and all queries of a call 0.2 to 0.7 ms.
const (
	stepConnections = 400 // of one query; the pipeline handles events between queries
	maxSteps        = 4
)

// maxPageBytes ends a page early: a connection can have 128 KiB of requests and signatures.
const maxPageBytes = 1 << 20

// yieldItems is after how many connections, 10 to 20 µs each, rendering yields to other goroutines. With few processors,
// events would otherwise wait for a whole page.
const yieldItems = 16

// item is a connection of a page, and the position that follows it.
type item struct {
	c    *track.Connection
	next position
}

// page is the result of one call.
type page struct {
	items []item
	next  position
	more  bool
}

// read finds the connections of a page.
func (a *API) read(ctx context.Context, q query) (page, error) {
	p := page{next: q.at, more: true}
	switch {
	case p.next.before > 0:
	case q.state == track.StateClosed:
		p.next.before = a.Recent.Latest() + 1
	default:
		if err := a.readLive(ctx, q, &p); err != nil {
			return page{}, err
		}
	}
	if p.next.before > 0 {
		a.readFinished(q, &p)
	}
	return p, nil
}

// readLive reads connections from the tracker, in a few short queries. After the last one it sets p.next.before to that
// moment: connections that finish later were read while they were open.
func (a *API) readLive(ctx context.Context, q query, p *page) error {
	var copies []track.Connection
	for range maxSteps {
		// Allocate here, and not while events wait.
		room := min(q.limit-len(p.items), stepConnections)
		if cap(copies)-len(copies) < room {
			copies = make([]track.Connection, 0, room)
		}
		if p.items == nil {
			p.items = make([]item, 0, q.limit)
		}
		full := false
		err := a.State.Query(ctx, func(t *track.Tracker) {
			p.next.live, p.more = t.Scan(p.next.live, q.source, stepConnections, func(c *track.Connection) bool {
				if len(p.items) == q.limit {
					full = true
					return false
				}
				if q.matches(c) {
					copies = append(copies, c.Copy())
					p.items = append(p.items, item{&copies[len(copies)-1], position{live: c.Cursor()}})
				}
				return true
			})
			if !p.more && q.state == 0 {
				p.next.before = a.Recent.Latest() + 1
			}
		})
		switch {
		case err != nil:
			return err
		case full:
			p.next = p.items[len(p.items)-1].next
			return nil
		case !p.more:
			return nil
		}
	}
	return nil
}

// readFinished reads connections from Recent.
func (a *API) readFinished(q query, p *page) {
	p.more = false
	a.Recent.Each(p.next.before, func(number uint64, c *track.Connection) bool {
		if !q.matches(c) {
			return true
		}
		if len(p.items) == q.limit {
			p.more = true
			return false
		}
		p.next = position{before: number}
		p.items = append(p.items, item{c, p.next})
		return true
	})
}

// render returns as much of the page as fits, as JSON.
func (p page) render() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("{\n  \"connections\": [")
	separator := "\n    "
	for i, it := range p.items {
		if i%yieldItems == 0 {
			runtime.Gosched()
		}
		text, err := json.MarshalIndent(show(it.c), "    ", "  ")
		if err != nil {
			return nil, err
		}
		if i > 0 && b.Len()+len(text) > maxPageBytes {
			p.next, p.more = p.items[i-1].next, true
			break
		}
		b.WriteString(separator)
		b.Write(text)
		separator = ",\n    "
	}
	if len(p.items) > 0 {
		b.WriteString("\n  ")
	}
	b.WriteString("]")
	if p.more {
		b.WriteString(",\n  \"next_cursor\": " + strconv.Quote(p.next.encode()))
	}
	b.WriteString("\n}\n")
	return b.Bytes(), nil
}
