package track

import "time"

// tombstone is what stays of a finished connection, so that a repeat that comes after is known for
// one, and not taken for a new connection.
type tombstone struct {
	seen   news
	reason Reason
}

// tombstoneLingers is for how many lingers a finished connection is remembered: its own, in which
// everything late arrives, and some to spare.
const tombstoneLingers = 4

type tombstones struct {
	byID  map[string]tombstone
	queue queue[burial]
}

type burial struct {
	id string
	at time.Time
}

func newTombstones() tombstones { return tombstones{byID: map[string]tombstone{}} }

func (t *tombstones) add(id string, stone tombstone, at time.Time) {
	t.byID[id] = stone
	t.queue.push(burial{id, at})
}

// expire forgets what was buried before the given time.
func (t *tombstones) expire(before time.Time) {
	for {
		oldest, ok := t.queue.peek()
		if !ok || !oldest.at.Before(before) {
			return
		}
		delete(t.byID, oldest.id)
		t.queue.pop()
	}
}
