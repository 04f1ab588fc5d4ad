package track

import (
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/go-json-experiment/json"

	"smithproxy_exporter/exporter/event"
)

// part is a piece of a snapshot: one of its fields is set. Parts are small, so that a damaged one
// costs no more than what it holds.
type part struct {
	Tracker    *trackerState    `json:",omitzero"`
	Proxy      *proxyState      `json:",omitzero"`
	Connection *connectionState `json:",omitzero"`
	// Source is the proxy that the following belong to.
	Source    string          `json:",omitzero"`
	Neighbors []neighborState `json:",omitzero"`
	Finished  []finishedState `json:",omitzero"`
	Pending   []Decision      `json:",omitzero"`
	Settled   []settledState  `json:",omitzero"`
	// Due are deadlines of any proxy.
	Due []deadline `json:",omitzero"`
}

type trackerState struct {
	ResumedAt, Looked time.Time
}

type proxyState struct {
	Source, Instance string
	Retired          []string
	AppearedAt       time.Time
	HeardAt          time.Time
	PingedAt         time.Time
	FirstPingAt      time.Time
	Silent           bool
	SendsInfo        bool
	InVain           int
	AskDue           bool
	AskedAt          time.Time
}

type connectionState struct {
	*Connection
	Rank                          int
	FirstAt                       time.Time
	MissedAt, GoneAt, RestartedAt time.Time `json:",omitzero"`
	DueAt                         time.Time `json:",omitzero"`
	Listed, Active                bool      `json:",omitzero"`
	Ages                          int       `json:",omitzero"`
}

type neighborState struct {
	Address string
	SeenAt  time.Time
	NewAt   time.Time `json:",omitzero"`
}

type finishedState struct {
	ID     string
	Seen   news
	Reason Reason
	At     time.Time
}

type settledState struct {
	Decision Decision
	At       time.Time
}

// partItems is how many small things share a part.
const partItems = 256

// ErrSnapshot is returned for a part that a snapshot cannot have.
var ErrSnapshot = errors.New("not a part of a snapshot")

// Snapshot yields the whole state, in parts that Restore takes. The state must not change meanwhile.
func (t *Tracker) Snapshot() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for p := range t.parts() {
			encoded, err := json.Marshal(p)
			if err != nil {
				panic(err) // Times, numbers and valid strings can be encoded.
			}
			if !yield(encoded) {
				return
			}
		}
	}
}

func (t *Tracker) parts() iter.Seq[part] {
	return func(yield func(part) bool) {
		if !yield(part{Tracker: &trackerState{t.resumedAt, t.looked}}) {
			return
		}
		for _, p := range t.byAge {
			for part := range p.parts() {
				if !yield(part) {
					return
				}
			}
		}
		for chunk := range chunks(t.due.all()) {
			if !yield(part{Due: chunk}) {
				return
			}
		}
	}
}

// Restore takes one part of a snapshot. All parts must come, in order, before anything else.
func (t *Tracker) Restore(encoded []byte) error {
	var p part
	if err := json.Unmarshal(encoded, &p); err != nil {
		return fmt.Errorf("%w: %w", ErrSnapshot, err)
	}
	if s := p.Tracker; s != nil {
		t.resumedAt, t.looked = s.ResumedAt, s.Looked
	}
	if p.Proxy != nil {
		t.restoreProxy(p.Proxy)
	}
	if c := p.Connection; c != nil && c.Connection != nil {
		t.restored(c.Source, c.FirstAt).restoreConnection(c)
	}
	if p.Source != "" {
		t.restored(p.Source, t.resumedAt).restore(p)
	}
	for _, d := range p.Due {
		t.due.push(d)
	}
	return nil
}

// restored returns the proxy, also when the part with its own state was lost.
func (t *Tracker) restored(source string, at time.Time) *proxy {
	p, ok := t.proxies[source]
	if !ok {
		p = newProxy(source, at)
		t.proxies[source] = p
		t.byAge = append(t.byAge, p)
		t.strangers++
	}
	return p
}

func (t *Tracker) restoreProxy(s *proxyState) {
	p := t.restored(s.Source, s.AppearedAt)
	if p.pingedAt.IsZero() && !s.PingedAt.IsZero() {
		t.strangers--
	}
	p.firstPingAt = s.FirstPingAt
	p.instance, p.retired = s.Instance, s.Retired
	p.appearedAt, p.heardAt, p.pingedAt, p.silent = s.AppearedAt, s.HeardAt, s.PingedAt, s.Silent
	p.sendsInfo, p.inVain = s.SendsInfo, s.InVain
	p.question = question{due: s.AskDue, askedAt: s.AskedAt}
}

func (p *proxy) parts() iter.Seq[part] {
	return func(yield func(part) bool) {
		ok := yield(part{Proxy: &proxyState{
			Source: p.source, Instance: p.instance, Retired: p.retired,
			AppearedAt: p.appearedAt, HeardAt: p.heardAt, PingedAt: p.pingedAt, FirstPingAt: p.firstPingAt, Silent: p.silent,
			SendsInfo: p.sendsInfo, InVain: p.inVain, AskDue: p.question.due, AskedAt: p.question.askedAt,
		}})
		for c := range p.conns.all() {
			ok = ok && yield(part{Connection: &connectionState{
				Connection: c, Rank: c.rank, FirstAt: c.firstAt, MissedAt: c.missedAt, GoneAt: c.goneAt,
				RestartedAt: c.restartedAt, DueAt: c.dueAt, Listed: c.listed, Active: c.active, Ages: c.ages,
			}})
		}
		for chunk := range chunks(p.neighbors.states()) {
			ok = ok && yield(part{Source: p.source, Neighbors: chunk})
		}
		for chunk := range chunks(p.finished.states()) {
			ok = ok && yield(part{Source: p.source, Finished: chunk})
		}
		for chunk := range chunks(p.pending.unclaimed()) {
			ok = ok && yield(part{Source: p.source, Pending: chunk})
		}
		for chunk := range chunks(p.pending.settlements()) {
			ok = ok && yield(part{Source: p.source, Settled: chunk})
		}
	}
}

func (p *proxy) restoreConnection(s *connectionState) {
	c := s.Connection
	if _, known := p.conns.get(c.ID); known {
		return
	}
	c.rank, c.firstAt, c.listed, c.active, c.ages = s.Rank, s.FirstAt, s.Listed, s.Active, max(0, s.Ages)
	c.missedAt, c.goneAt, c.restartedAt, c.dueAt = s.MissedAt, s.GoneAt, s.RestartedAt, s.DueAt
	if c.active {
		p.active++
	}
	if c.Decision != nil {
		c.Decision.restore()
		c.Decision.claimed = true
	}
	label := c.Label
	c.Label = ""
	p.conns.put(c)
	p.conns.relabel(c, func() { c.Label, c.Session = label, event.ParseSession(label) })
}

// restore takes what a part holds of the proxy besides its connections.
func (p *proxy) restore(s part) {
	for _, n := range s.Neighbors {
		p.neighbors.touch(n.Address, n.SeenAt).newAt = n.NewAt
	}
	p.neighbors.reported = p.neighbors.byAge.Len()
	for _, f := range s.Finished {
		p.finished.add(f.ID, newTombstone(f.Seen, f.Reason), f.At)
	}
	for _, d := range s.Pending {
		d.restore()
		p.pending.add(&d)
	}
	for _, o := range s.Settled {
		o.Decision.restore()
		p.pending.settle(&o.Decision, o.At)
	}
}

func (d *Decision) restore() { d.Session = event.ParseSession(d.Label) }

func (n *neighbors) states() iter.Seq[neighborState] {
	return func(yield func(neighborState) bool) {
		for e := n.byAge.Front(); e != nil; e = e.Next() {
			o := e.Value.(*neighbor)
			if !yield(neighborState{o.address, o.seenAt, o.newAt}) {
				return
			}
		}
	}
}

func (t *tombstones) states() iter.Seq[finishedState] {
	return func(yield func(finishedState) bool) {
		for b := range t.queue.all() {
			stone := t.byID[b.id]
			if !yield(finishedState{b.id, stone.seen, stone.reason(), time.Unix(0, b.at)}) {
				return
			}
		}
	}
}

func (p *pendingDecisions) unclaimed() iter.Seq[Decision] {
	return func(yield func(Decision) bool) {
		for d := range p.queue.all() {
			if !d.claimed && !yield(*d) {
				return
			}
		}
	}
}

func (p *pendingDecisions) settlements() iter.Seq[settledState] {
	return func(yield func(settledState) bool) {
		for s := range p.settledQueue.all() {
			if !yield(settledState{*s.d, s.at}) {
				return
			}
		}
	}
}

// chunks yields the items some at a time. A chunk is valid until the next.
func chunks[T any](items iter.Seq[T]) iter.Seq[[]T] {
	return func(yield func([]T) bool) {
		var chunk []T
		for item := range items {
			if chunk = append(chunk, item); len(chunk) < partItems {
				continue
			}
			if !yield(chunk) {
				return
			}
			chunk = chunk[:0]
		}
		if len(chunk) > 0 {
			yield(chunk)
		}
	}
}
