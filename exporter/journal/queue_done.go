package journal

import (
	"errors"
	"time"
)

// Done says that everything up to a mark is done with: it will not be handed out after a restart, and
// whole segments of it are removed. When all is done with, nothing is left on disk after about a second.
// After an error it may be handed out again after a restart; the next Done makes up for it.
func (q *Queue) Done(mark uint64) error {
	q.mu.Lock()
	q.backlog.done(mark)
	q.emptyLater()
	q.mu.Unlock()
	if err := q.worker.take(); err != nil {
		return q.wrap("done", err)
	}
	defer q.worker.give()
	return q.wrap("done", q.release((*backlog).release))
}

// release removes segments that are done with, as remove takes them out of the account. The caller has
// the turn.
func (q *Queue) release(remove func(*backlog) []stored) error {
	if !q.loaded {
		return nil
	}
	q.mu.Lock()
	q.disk.obsolete = append(q.disk.obsolete, remove(&q.backlog)...)
	q.disk.cursor.want = q.backlog.cursor()
	q.mu.Unlock()
	err := q.worker.run(q.disk.clean)
	if !errors.Is(err, ErrStalled) {
		q.mu.Lock()
		q.account()
		q.mu.Unlock()
	}
	return err
}

// emptyLater has the files removed after emptyDelay, if all is done with. The caller has the lock.
func (q *Queue) emptyLater() {
	if q.emptying == nil && q.backlog.idle() {
		q.emptying = time.AfterFunc(emptyDelay, q.empty)
	}
}

// empty removes all files, if all is still done with.
func (q *Queue) empty() {
	err := q.worker.take()
	if err == nil {
		err = q.release((*backlog).clear)
		q.worker.give()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.emptying = nil
	if err != nil && !errors.Is(err, ErrClosed) {
		q.emptying = time.AfterFunc(emptyDelay, q.empty)
	}
}

// Size is the number of bytes on disk. It never waits for the disk.
func (q *Queue) Size() int64 { return q.size.Load() }

// Weight is the weight of what is not done with, handed out or not. It never waits for the disk.
func (q *Queue) Weight() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.backlog.weight
}

// Oldest is when the oldest entry that is not done with was appended, zero if there is none. It never
// waits for the disk.
func (q *Queue) Oldest() time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	at := q.backlog.oldest()
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(0, at)
}

// Close ends the queue. It waits for the disk no longer than StallLimit, and returns ErrStalled then.
func (q *Queue) Close() error {
	q.mu.Lock()
	if q.emptying != nil {
		q.emptying.Stop()
	}
	q.mu.Unlock()
	return q.wrap("close", q.worker.close(func() error {
		var err error
		if q.loaded {
			q.mu.Lock()
			q.disk.obsolete = append(q.disk.obsolete, q.backlog.clear()...)
			q.disk.cursor.want = q.backlog.cursor()
			q.mu.Unlock()
			err = q.disk.clean()
		}
		return errors.Join(err, q.disk.close())
	}))
}
