package journal

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// LogOptions are the options of a Log. The zero value is usable.
type LogOptions struct {
	// Sync makes what was appended survive a crash of the machine, not only one of the process.
	Sync bool
	// StallLimit is how long a call waits for one step of the disk; 0 is DefaultStallLimit.
	StallLimit time.Duration
}

// Log is a write-ahead log of a state that can be written down whole. Its methods are safe for use by
// many goroutines; one that writes waits for the one before, a Rewrite included.
type Log struct {
	name string
	// size is that of all the files.
	size atomic.Int64
	// worker guards the rest, which belongs to who has its turn, and to its tasks.
	worker *worker
	folder folder

	// replayed says that what older segments hold is in the state of the caller, so that the next
	// Rewrite may replace them.
	replayed bool
	// broken says that what is on disk, with what would be appended, is not the whole state.
	broken bool
	// end is where the next entry goes; segment 0 is that there is none yet. file is that segment, nil
	// if it has not been opened.
	end  position
	file file
	// last is the largest number there is or was.
	last uint64
	// older are segments before the one that is appended to which a replay needs; obsolete are those
	// that it does not, and that are to be removed.
	older, obsolete []stored
	// batch is what is being written. It is the worker's if that is late.
	batch   batch
	rewrite rewrite
}

// stored is a segment that is not appended to.
type stored struct {
	number uint64
	size   int64
}

// keepBuffer is the largest buffer that is kept for the next batch.
const keepBuffer = 1 << 20

// OpenLog returns the log of that name, a folder within dir. It does no I/O.
func OpenLog(dir *Dir, name string, o LogOptions) *Log {
	return &Log{
		name: name, worker: newWorker(o.StallLimit), folder: newFolder(dir, name, o.Sync),
		// Until a replay has shown what there is.
		broken: true,
	}
}

// Append adds entries with one write. When it returns nil they survive a crash of the process, and
// with Sync one of the machine. The memory of the entries is the caller's again on return.
//
// After an error, entries of the batch may be there or not, the log tries nothing more by itself, and
// every Append returns ErrBroken at once, until a Rewrite succeeds. So it is with ErrStalled, which is
// returned at once until the disk has answered; ErrBroken follows. An entry larger than MaxEntry is an
// error that breaks nothing.
func (l *Log) Append(entries [][]byte) error {
	if err := l.worker.take(); err != nil {
		return l.wrap("append", err)
	}
	defer l.worker.give()
	if l.broken {
		return l.wrap("append", ErrBroken)
	}
	if len(entries) == 0 {
		return nil
	}
	if err := checkEntries(entries); err != nil {
		return l.wrap("append", err)
	}
	if l.end.segment == 0 {
		if err := l.replace(func(func([]byte) bool) {}); err != nil {
			l.broken = true
			return l.wrap("append", err)
		}
	}
	l.batch.reset(l.end)
	for _, e := range entries {
		l.batch.add(kindEntry, nil, e)
	}
	if err := l.run(l.write); err != nil {
		l.broken = true
		return l.wrap("append", err)
	}
	l.end = l.batch.end()
	if cap(l.batch.buf) > keepBuffer {
		l.batch.buf = nil
	}
	return nil
}

func checkEntries(entries [][]byte) error {
	for _, e := range entries {
		if len(e) > MaxEntry {
			return fmt.Errorf("entry of %d bytes is larger than %d", len(e), MaxEntry)
		}
	}
	return nil
}

// run has a task done. A log that stalled is broken, and leaves its buffer to the worker.
func (l *Log) run(task func() error) error {
	err := l.worker.run(task)
	if errors.Is(err, ErrStalled) {
		l.broken = true
	}
	return err
}

// write is a task: it writes the batch to the segment that is appended to.
func (l *Log) write() error {
	if l.file == nil {
		f, err := l.folder.resume(l.end)
		if err != nil {
			return err
		}
		l.file = f
	}
	if err := l.batch.write(l.file); err != nil {
		return err
	}
	if err := l.folder.datasync(l.file); err != nil {
		return err
	}
	l.size.Add(int64(len(l.batch.frames())))
	l.clean()
	return nil
}

// clean removes segments that are obsolete. What cannot be removed now will be with the next write;
// until then it is only in the way.
func (l *Log) clean() {
	l.obsolete = slices.DeleteFunc(l.obsolete, func(s stored) bool {
		if l.folder.remove(fileName(s.number)) != nil {
			return false
		}
		l.size.Add(-s.size)
		return true
	})
}

// Size is the number of bytes on disk. It never waits.
func (l *Log) Size() int64 { return l.size.Load() }

// Close ends the log. It waits for the disk no longer than StallLimit, and returns ErrStalled then.
func (l *Log) Close() error {
	return l.wrap("close", l.worker.close(func() error {
		l.clean()
		l.discard()
		if l.file == nil {
			return nil
		}
		return l.file.Close()
	}))
}

func (l *Log) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("journal %s: %s: %w", l.name, what, err)
}
