package track

import (
	"slices"
	"time"
)

// tombstone is what stays of a finished connection, so that a repeat that comes after is known for
// one, and not taken for a new connection. It is small, for there are as many as connections in two
// minutes.
type tombstone struct {
	seen news
	code uint8 // of the reason
}

var reasons = [...]Reason{"", ReasonStop, ReasonRejected, ReasonLost, ReasonRestart}

// newTombstone takes a reason that there is none of, as from a damaged snapshot, for "".
func newTombstone(seen news, reason Reason) tombstone {
	return tombstone{seen: seen, code: uint8(max(0, slices.Index(reasons[:], reason)))}
}

func (s tombstone) reason() Reason { return reasons[s.code] }

// tombstoneLingers is for how many lingers a finished connection is remembered: its own, in which
// everything late arrives, and some to spare.
const tombstoneLingers = 4

type tombstones struct {
	byID  map[string]tombstone
	queue queue[burial]
}

type burial struct {
	id string
	at int64 // Unix ns
}

func newTombstones() tombstones { return tombstones{byID: map[string]tombstone{}} }

func (t *tombstones) add(id string, stone tombstone, at time.Time) {
	t.byID[id] = stone
	t.queue.push(burial{id, at.UnixNano()})
}

// expire forgets what was buried before the given time.
func (t *tombstones) expire(before time.Time) {
	for {
		oldest, ok := t.queue.peek()
		if !ok || oldest.at >= before.UnixNano() {
			return
		}
		t.dropOldest()
	}
}

func (t *tombstones) dropOldest() {
	oldest, _ := t.queue.peek()
	delete(t.byID, oldest.id)
	t.queue.pop()
}
