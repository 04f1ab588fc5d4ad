package journal

import (
	"errors"
	"time"
)

var (
	// ErrLocked means that another process, or another Dir of this one, holds the folder.
	ErrLocked = errors.New("in use by another process")
	// ErrBroken means that a Log does not hold the whole state any more, and takes entries again only
	// after a Rewrite.
	ErrBroken = errors.New("log is broken until it is rewritten")
	// ErrStalled means that the disk did not answer in time, or has still not answered something before.
	ErrStalled = errors.New("disk does not answer")
	// ErrFull means that a batch is larger than all that a Queue may hold now.
	ErrFull = errors.New("larger than the limit of the queue")
	// ErrClosed is returned for what comes after Close.
	ErrClosed = errors.New("closed")
)

const (
	// MaxEntry is the most bytes that an entry may have: a length above it can only be damage.
	MaxEntry = 64 << 20
	// DefaultStallLimit is how long a caller waits for one step of the disk.
	DefaultStallLimit = time.Second
	// DefaultSegmentBytes is the size at which a Queue begins a new segment.
	DefaultSegmentBytes = 16 << 20
)
