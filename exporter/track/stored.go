package track

import (
	"fmt"
	"strings"
	"time"

	"smithproxy_exporter/exporter/event"
)

// The stored records. New fields get new numbers; a number is never reused for another field.

type connectionState struct {
	ID            string            `cbor:"1,keyasint"`
	N             uint32            `cbor:"2,keyasint"`
	Serial        uint64            `cbor:"3,keyasint"`
	State         State             `cbor:"4,keyasint"`
	Cause         Cause             `cbor:"5,keyasint,omitempty"`
	Got           parts             `cbor:"6,keyasint"`
	Rank          uint8             `cbor:"7,keyasint"`
	Ages          uint8             `cbor:"8,keyasint,omitempty"`
	Listed        bool              `cbor:"9,keyasint,omitempty"`
	Label         string            `cbor:"10,keyasint"`
	Transport     event.Transport   `cbor:"11,keyasint,omitempty"`
	Stop          *event.Stop       `cbor:"12,keyasint,omitempty"`
	DetailsListed int               `cbor:"13,keyasint,omitempty"`
	Statistics    *event.Statistics `cbor:"14,keyasint,omitempty"`
	Sinkhole      *event.Sinkhole   `cbor:"15,keyasint,omitempty"`
	Echo          *event.Echo       `cbor:"16,keyasint,omitempty"`
	Decision      *Decision         `cbor:"17,keyasint,omitempty"`
	// Times holds started, stopped, informed, first and alive, each as wall and running time.
	Times [10]int64     `cbor:"18,keyasint"`
	Until time.Duration `cbor:"19,keyasint,omitempty"`
	Past  *Past         `cbor:"20,keyasint,omitempty"`
	// Form is the form of client addresses, in Label and Decision; see privacy.Policy.Form.
	Form string `cbor:"21,keyasint,omitempty"`
	Held uint8  `cbor:"24,keyasint,omitempty"`
}

// decisionState is a pending decision.
type decisionState struct {
	Decision
	Form string `cbor:",omitempty"`
}

type proxyState struct {
	Instance    string           `cbor:"1,keyasint,omitempty"`
	Retired     []string         `cbor:"2,keyasint,omitempty"`
	AppearedAt  time.Duration    `cbor:"3,keyasint"`
	HeardAt     time.Duration    `cbor:"4,keyasint"`
	Pinged      [2]int64         `cbor:"5,keyasint"`
	PingsSince  time.Duration    `cbor:"6,keyasint,omitempty"`
	Down        bool             `cbor:"7,keyasint,omitempty"`
	Known       bool             `cbor:"8,keyasint,omitempty"`
	DownAt      time.Duration    `cbor:"9,keyasint,omitempty"`
	SendsInfo   bool             `cbor:"10,keyasint,omitempty"`
	MissedInfos int              `cbor:"11,keyasint,omitempty"`
	Shutdown    [3]time.Duration `cbor:"12,keyasint"`
}

type neighborState struct {
	Seen       [2]int64      `cbor:"1,keyasint"`
	Discovered time.Duration `cbor:"2,keyasint,omitempty"`
	Form       string        `cbor:"3,keyasint,omitempty"`
}

// encode returns bytes that are valid until the tracker encodes something else.
func (c *Connection) encode(t *Tracker) []byte {
	s := &t.stored
	*s = connectionState{
		ID: c.ID, N: c.N, Serial: c.serial, State: c.State, Cause: c.Cause, Got: c.got, Rank: c.rank, Ages: c.ages,
		Listed: c.listed, Label: c.Label, Transport: c.Transport, Stop: c.Stop, DetailsListed: c.DetailsListed,
		Statistics: c.Statistics, Sinkhole: c.Sinkhole, Echo: c.Echo, Decision: c.Decision, Until: c.until,
		Form: t.Privacy.Form(), Held: c.held,
	}
	if c.N > 1 {
		s.Past = t.proxies[c.Source].conns.past[c.ID]
	}
	for i, at := range []Instant{c.started, c.stopped, c.informed, c.first, c.alive} {
		s.Times[2*i], s.Times[2*i+1] = at.Wall, int64(at.Mono)
	}
	return t.encode(s)
}

func (p *proxy) state() proxyState {
	return proxyState{
		Instance: p.instance, Retired: p.retired, AppearedAt: p.appearedAt, HeardAt: p.heardAt,
		Pinged: pair(p.ping.last), PingsSince: p.ping.since, Down: p.ping.down, Known: p.ping.known, DownAt: p.ping.downAt,
		SendsInfo: p.sendsInfo, MissedInfos: p.missedInfos,
		Shutdown: [3]time.Duration{time.Duration(p.shutdown.infos), p.shutdown.first, p.shutdown.last},
	}
}

func (n *neighbor) state(form string) neighborState {
	return neighborState{pair(n.seen), n.discovered, form}
}

func pair(i Instant) [2]int64 { return [2]int64{i.Wall, int64(i.Mono)} }

func instant(p [2]int64) Instant { return Instant{p[0], time.Duration(p[1])} }

// Restore adds a record from the store. It must be called before any other method, with the kinds in ascending order.
// On an error the record is ignored.
func (t *Tracker) Restore(kind Kind, source, key string, record []byte) error {
	var err error
	switch kind {
	case KindTracker:
	case KindProxy:
		err = t.restoreProxy(source, record)
	case KindConnection:
		err = t.restoreConnection(source, record)
	case KindDecision:
		err = t.restoreDecision(source, record)
	case KindNeighbor:
		err = t.restoreNeighbor(source, key, record)
		key = t.Privacy.Address(key) // for the error
	default:
		err = fmt.Errorf("kind %d is unknown", kind)
	}
	if err != nil {
		return fmt.Errorf("record %q of proxy %q: %w", key, source, err)
	}
	return nil
}

// restored returns the proxy, which is created if its own record was lost.
func (t *Tracker) restored(source string) *proxy {
	p, ok := t.proxies[source]
	if !ok {
		p = newProxy(source, 0)
		p.dirty = false
		t.proxies[source] = p
		t.bySource.Set(source, p)
		t.order = append(t.order, p)
		t.tracked++
		t.neverPinged++
	}
	return p
}

func (t *Tracker) restoreProxy(source string, record []byte) error {
	var s proxyState
	if err := decoder.Unmarshal(record, &s); err != nil {
		return err
	}
	p := t.restored(source)
	p.instance, p.retired, p.appearedAt, p.heardAt = s.Instance, s.Retired, s.AppearedAt, s.HeardAt
	p.ping = pings{last: instant(s.Pinged), since: s.PingsSince, down: s.Down, known: s.Known, downAt: s.DownAt}
	p.sendsInfo, p.missedInfos = s.SendsInfo, s.MissedInfos
	p.shutdown = shutdown{infos: int(s.Shutdown[0]), first: s.Shutdown[1], last: s.Shutdown[2]}
	if !p.ping.last.IsZero() {
		t.neverPinged--
	}
	return nil
}

func (t *Tracker) restoreConnection(source string, record []byte) error {
	s := new(connectionState)
	if err := decoder.Unmarshal(record, s); err != nil {
		return err
	}
	switch {
	case s.ID == "" || s.N == 0 || s.Serial == 0:
		return fmt.Errorf("connection %q has no number", s.ID)
	case s.State != StateOpen && s.State != StateClosing, s.Cause > CauseEvicted, (s.State == StateOpen) != (s.Cause == causeNone):
		return fmt.Errorf("connection %q is in state %d for cause %d", s.ID, s.State, s.Cause)
	case s.Cause == CauseStop && (s.Stop == nil || s.Got&gotStop == 0):
		return fmt.Errorf("connection %q is stopped and has no stop", s.ID)
	}
	t.applyPrivacy(s)
	p := t.restored(source)
	if _, known := p.conns.bySerial.Get(s.Serial); known {
		return fmt.Errorf("connection %q has the number of another one", s.ID)
	}
	c := &Connection{
		Source: p.source, ID: s.ID, N: s.N, State: s.State, Cause: s.Cause, got: s.Got, rank: s.Rank,
		ages: min(s.Ages, maxAges), held: min(s.Held, s.Ages, maxAges), listed: s.Listed, Transport: s.Transport, Stop: s.Stop, DetailsListed: s.DetailsListed,
		Statistics: s.Statistics, Sinkhole: s.Sinkhole, Echo: s.Echo, Decision: s.Decision, until: s.Until, serial: s.Serial, p: p,
	}
	for i, at := range []*Instant{&c.started, &c.stopped, &c.informed, &c.first, &c.alive} {
		*at = Instant{s.Times[2*i], time.Duration(s.Times[2*i+1])}
	}
	p.conns.add(c)
	p.conns.relabel(c, func() { c.Label = s.Label })
	if s.Past != nil && len(s.Past.Ended) > 0 {
		p.conns.past[c.ID] = s.Past
	}
	t.serial = max(t.serial, s.Serial)
	if c.State == StateOpen {
		p.open++
		t.deadlines.set(c, t.openDeadline(c))
	} else {
		t.deadlines.set(c, c.until)
	}
	return nil
}

func (t *Tracker) restoreDecision(source string, record []byte) error {
	s := new(decisionState)
	if err := decoder.Unmarshal(record, s); err != nil {
		return err
	}
	p, d := t.restored(source), &s.Decision
	d.Source = p.source
	t.applyPrivacyTo(d, s.Form)
	p.decisions.put(d)
	p.decisions.changed = p.decisions.changed[:0]
	return nil
}

func (t *Tracker) restoreNeighbor(source, address string, record []byte) error {
	var s neighborState
	if err := decoder.Unmarshal(record, &s); err != nil {
		return err
	}
	n := &t.restored(source).neighbors
	form := t.Privacy.Form()
	if s.Form == form {
		n.touch(address, instant(s.Seen)).discovered = s.Discovered
		delete(n.changed, address)
		return nil
	}
	n.changed[address] = struct{}{} // its record is to be removed
	if s.Form == "" {
		found := n.touch(t.Privacy.Address(address), instant(s.Seen))
		found.discovered = max(found.discovered, s.Discovered)
	}
	return nil
}

// applyPrivacy brings a stored connection to the privacy settings in force, which may not be those with which it was
// stored. A client that cannot be converted is unknown, until the next event of the connection names it.
func (t *Tracker) applyPrivacy(s *connectionState) {
	if s.Stop != nil {
		s.Stop.Details, _ = t.Privacy.Requests(s.Stop.Details)
	}
	label, converted := t.Privacy.Restored(s.Label, s.Form)
	s.Label = label
	if !converted {
		s.Rank = 0
	}
	if s.Decision != nil {
		t.applyPrivacyTo(s.Decision, s.Form)
	}
}

func (t *Tracker) applyPrivacyTo(d *Decision, form string) {
	d.Label, _ = t.Privacy.Restored(d.Label, form)
	if strings.Contains(d.ConnectionID, "+") {
		d.ConnectionID = d.Label
	}
}
