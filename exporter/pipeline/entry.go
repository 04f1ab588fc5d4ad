package pipeline

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/go-json-experiment/json"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// An entry of the journal is a byte that says what it is, and what follows of it. Times are Unix ns,
// big endian.
const (
	entryState    = 's' // a part of a snapshot of the tracker
	entryEvent    = 'e' // until when the tracker was advanced, when it was received, the body as it came
	entryDecision = 'd' // until when the tracker was advanced, the decision as JSON
	entryResume   = 'r' // when events could be received again
	entryReceipt  = 'k' // what the keeper gave a receipt for is durable
)

// errEntry is returned for an entry that this version did not write.
var errEntry = errors.New("not an entry of the journal")

// journaled reports whether an event moves the state. The others are not written down: what they hold
// is private, or not known.
func journaled(action event.Action) bool {
	switch action {
	case event.ActionPing, event.ActionNeighbor, event.ActionStart, event.ActionStop, event.ActionInfo:
		return true
	}
	return false
}

func appendTime(b []byte, t time.Time) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(t.UnixNano()))
}

func takeTime(b []byte) (time.Time, []byte, error) {
	if len(b) < 8 {
		return time.Time{}, nil, fmt.Errorf("%w: %d bytes are no time", errEntry, len(b))
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(b))).UTC(), b[8:], nil
}

func appendEvent(b []byte, advanced, at time.Time, body []byte) []byte {
	b = append(b, entryEvent)
	return append(appendTime(appendTime(b, advanced), at), body...)
}

func appendDecision(b []byte, advanced time.Time, d *track.Decision) []byte {
	encoded, err := json.Marshal(d)
	if err != nil {
		panic(err) // Times and strings can be encoded.
	}
	return append(appendTime(append(b, entryDecision), advanced), encoded...)
}

// redo moves the state by an entry, as it was moved when the entry was written.
func (p *Pipeline) redo(entry []byte) error {
	if len(entry) == 0 {
		return fmt.Errorf("%w: it is empty", errEntry)
	}
	kind, rest := entry[0], entry[1:]
	switch kind {
	case entryState:
		return p.tracker.Restore(rest)
	case entryReceipt:
		if p.Keeper != nil {
			p.Keeper.Settled(rest)
		}
		return nil
	case entryEvent, entryDecision, entryResume:
	default:
		return fmt.Errorf("%w: it begins with %q", errEntry, kind)
	}
	at, rest, err := takeTime(rest)
	if err != nil {
		return err
	}
	if kind == entryResume {
		p.tracker.Resume(at)
		return nil
	}
	p.tracker.Advance(at)
	if kind == entryDecision {
		var d track.Decision
		if err := json.Unmarshal(rest, &d); err != nil {
			return fmt.Errorf("%w: %w", errEntry, err)
		}
		p.tracker.Decide(d)
		return nil
	}
	received, body, err := takeTime(rest)
	if err != nil {
		return err
	}
	ev, err := event.Decode(body)
	if err != nil {
		return fmt.Errorf("%w: %w", errEntry, err)
	}
	p.tracker.Apply(ev, received)
	return nil
}
