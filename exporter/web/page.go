package web

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"

	"smithproxy_exporter/exporter/track"
)

// What a call may cost the pipeline. The unit is a connection that is looked at and does not match: 0.1 to 0.3 µs,
// most of it to fetch the record from memory. A call takes at most 2,048 units, well below a millisecond.
const (
	stepUnits = 512 // of one look, between which the pipeline handles events
	maxSteps  = 4
	// copyUnits is what a connection that matches costs.
	copyUnits = 2
)

// maxPageBytes ends a page early: a connection can have 128 KiB of requests and signatures.
const maxPageBytes = 1 << 20

// item is a connection of a page, and the position that follows it.
type item struct {
	c    *track.Connection
	next position
}

// page is what one call found.
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

// readLive takes connections from the tracker, in a few short looks. It sets p.next.before once there are none
// left, as of the end of the last look: what finishes later was looked at while it was open.
func (a *API) readLive(ctx context.Context, q query, p *page) error {
	var copies []track.Connection
	for range maxSteps {
		// What is needed is allocated here and not while events wait.
		room := min(q.limit-len(p.items), stepUnits/copyUnits)
		if cap(copies)-len(copies) < room {
			copies = make([]track.Connection, 0, room)
		}
		if p.items == nil {
			p.items = make([]item, 0, q.limit)
		}
		full := false
		err := a.State.Query(ctx, func(t *track.Tracker) {
			units := 0
			p.next.live, p.more = t.Scan(p.next.live, q.source, stepUnits, func(c *track.Connection) bool {
				if len(p.items) == q.limit {
					full = true
					return false
				}
				units++
				if q.matches(c) {
					units += copyUnits - 1
					copies = append(copies, c.Copy())
					p.items = append(p.items, item{&copies[len(copies)-1], position{live: c.Cursor()}})
				}
				return units <= stepUnits-copyUnits
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

// readFinished takes connections from Recent.
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

// render returns the page as JSON, or as much of it as fits.
func (p page) render() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString("{\n  \"connections\": [")
	separator := "\n    "
	for i, it := range p.items {
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
