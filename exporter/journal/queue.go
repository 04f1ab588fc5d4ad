package journal

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// QueueOptions are the options of a Queue. The zero value is usable.
type QueueOptions struct {
	// Sync makes what was appended survive a crash of the machine, not only one of the process.
	Sync bool
	// StallLimit is how long a call waits for the disk; 0 is DefaultStallLimit.
	StallLimit time.Duration
	// SegmentBytes is the size at which a new segment begins; 0 is DefaultSegmentBytes. Segments are
	// smaller, down to 64 KiB, if the limit is less than eight of them.
	SegmentBytes int64
	// Limit is how many bytes the queue may have on disk now. It is asked at each Append, and may
	// change; nil is no limit.
	Limit func() int64
	// Dropped is told the weight of what went because of Limit, less what Next had already handed
	// out. It is called by Append, under no lock; nil is to tell nobody.
	Dropped func(weight int)
	// Now is the clock of the append times; nil is time.Now.
	Now func() time.Time
}

const (
	// minSegmentBytes is what a small limit does not make segments smaller than.
	minSegmentBytes = 64 << 10
	// segmentsInLimit is how many segments fit into the limit at least, if they may be that small:
	// one of them is lost at the bound.
	segmentsInLimit = 8
	// emptyDelay is how long a queue in which all is done with keeps its files, so that one that is
	// always nearly empty does not make and remove a file for each entry.
	emptyDelay = time.Second
)

// Queue holds entries until they are done with, oldest first. Its methods are safe for use by many
// goroutines, but there is one reader: one goroutine at a time calls Next.
type Queue struct {
	name    string
	options QueueOptions
	// size is that of all the files.
	size atomic.Int64

	// mu guards the account, and is never held while the disk works. Only who has the turn of the
	// worker adds and removes segments.
	mu      sync.Mutex
	backlog backlog
	// damage is what Next has still to tell.
	damage Damage
	// emptying runs empty after emptyDelay; nil if that is not due.
	emptying *time.Timer

	// reader belongs to who calls Next.
	reader reader

	// worker guards the rest, which belongs to who has its turn, and to its tasks.
	worker *worker
	disk   queueDisk
	// loaded says that the account has what was on disk.
	loaded bool
}

// OpenQueue returns the queue of that name, a folder within dir, as it was left, less what could not be
// read. It reads all of it once, in the goroutine of its caller and without a limit of time.
//
// An error means that the folder is not to be had now. The queue is usable all the same: the next
// Append looks again for what is there.
func OpenQueue(dir *Dir, name string, o QueueOptions) (*Queue, Damage, error) {
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = DefaultSegmentBytes
	}
	if o.Limit == nil {
		o.Limit = func() int64 { return math.MaxInt64 }
	}
	if o.Dropped == nil {
		o.Dropped = func(int) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	folder := newFolder(dir, name, o.Sync)
	q := &Queue{
		name: name, options: o, backlog: backlog{next: 1, read: start(1)},
		reader: reader{folder: folder}, worker: newWorker(o.StallLimit),
		disk: queueDisk{folder: folder, cursor: cursor{folder: folder}},
	}
	if err := q.disk.load(); err != nil {
		return q, Damage{}, q.wrap("open", err)
	}
	return q, q.adopt(), nil
}

// adopt takes what a load has found into the account. The caller has the turn.
func (q *Queue) adopt() Damage {
	q.mu.Lock()
	defer q.mu.Unlock()
	found := q.disk.found
	q.disk.found = nil
	q.backlog, q.disk.obsolete = found.backlog, found.obsolete
	q.loaded = true
	q.account()
	q.emptyLater()
	return found.damage
}

// Append adds entries, each with its weight (what the caller counts: 1 each if weights is nil), with
// one write. When it returns nil they survive a crash of the process, and with Sync one of the machine.
// The memory of the payloads is the caller's again on return.
//
// If Limit leaves no room the oldest segments go before. If even an empty queue has none it is ErrFull.
// If the disk refuses the batch it is tried once more in a new segment. After any error, ErrStalled
// included, nothing of the batch is in the queue (but some of it may be found after a crash), and the
// next Append tries again; while the disk has not answered, ErrStalled is returned at once.
func (q *Queue) Append(payloads [][]byte, weights []int) error {
	lost, err := q.append(payloads, weights)
	if lost > 0 {
		q.options.Dropped(int(lost))
	}
	return q.wrap("append", err)
}

func (q *Queue) append(payloads [][]byte, weights []int) (lost int64, err error) {
	if err := q.worker.take(); err != nil {
		return 0, err
	}
	defer q.worker.give()
	if len(payloads) == 0 {
		return 0, nil
	}
	if weights != nil && len(weights) != len(payloads) {
		return 0, fmt.Errorf("%d weights of %d payloads", len(weights), len(payloads))
	}
	if err := checkEntries(payloads); err != nil {
		return 0, err
	}
	if !q.loaded {
		if err := q.worker.run(q.disk.load); err != nil {
			return 0, err
		}
		damage := q.adopt()
		q.mu.Lock()
		q.damage.add(damage)
		q.mu.Unlock()
	}
	bytes := int64(fileHeaderSize)
	for _, p := range payloads {
		bytes += frameHeaderSize + metaSize + int64(len(p))
	}
	at, lost, err := q.makeRoom(bytes)
	if err != nil {
		return lost, errors.Join(err, q.release((*backlog).release))
	}
	now := q.options.Now().UnixNano()
	weight := q.disk.fill(at, payloads, weights, now)
	err = q.worker.run(q.disk.write)
	if errors.Is(err, ErrStalled) {
		return lost, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if err == nil {
		q.disk.settled()
		q.backlog.add(q.disk.batch.at, q.disk.batch.end(), weight, now)
	}
	q.account()
	return lost, err
}

// makeRoom drops what must go so that a batch fits, and says where it goes and what weight was lost.
func (q *Queue) makeRoom(bytes int64) (at position, lost int64, err error) {
	limit := q.options.Limit()
	// What is kept besides the segments.
	room := limit - cursorSize
	fits := bytes <= room
	if fits {
		room -= bytes
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.backlog.segments) > 0 && q.backlog.bytes > room {
		dropped, weight := q.backlog.drop()
		q.disk.obsolete = append(q.disk.obsolete, dropped)
		lost += weight
	}
	q.disk.cursor.want = q.backlog.cursor()
	q.disk.spare = room - q.backlog.bytes
	q.account()
	if !fits {
		return position{}, lost, ErrFull
	}
	at = q.backlog.tail()
	full := min(q.options.SegmentBytes, max(limit/segmentsInLimit, minSegmentBytes))
	if at.offset > fileHeaderSize && at.offset+bytes > full {
		at = start(q.backlog.next)
	}
	q.disk.next = q.backlog.next
	return at, lost, nil
}

// account brings size up to date. The caller has the turn and the lock.
func (q *Queue) account() {
	size := q.backlog.bytes + q.disk.cursor.size()
	for _, s := range q.disk.obsolete {
		size += s.size
	}
	q.size.Store(size)
}

func (q *Queue) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("journal %s: %s: %w", q.name, what, err)
}
