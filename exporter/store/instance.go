package store

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// instance is one opened database. After a failed write pebble ends its goroutine through Logger.Fatalf and
// cannot go on; the instance is then dead, fenced off from the disk, and replaced.
type instance struct {
	s   *Store
	fs  *diskFS
	db  *pebble.DB
	ops chan *operation

	dead     chan struct{}
	deadOnce sync.Once
	// refs counts readers outside the worker. Add under Store.mu while the instance is current.
	refs sync.WaitGroup
	// abandoned counts operations that a caller stopped waiting for. Guarded by Store.mu.
	abandoned int
	readOnly  bool
	// expired is a time before which no tombstone is on disk. It belongs to the worker.
	expired time.Duration
	// err is why the instance died. Set before dead is closed.
	err error
}

// operation is work for the worker of an instance.
type operation struct {
	run  func(*instance) error
	done chan error // capacity 1
	last bool       // the worker ends after it
	// Guarded by Store.mu.
	finished, abandoned bool
}

const (
	// A memtable, and with it each of the memtables+1 logs, takes maxMemtable, or less in a small store.
	maxMemtable   = 4 << 20
	memtableShare = 64 // of MaxSize
	memtables     = 4
	blockCache    = 8 << 20
)

var errDied = errors.New("database stopped")

func (in *instance) options() *pebble.Options {
	memtable := min(maxMemtable, int64(in.s.opt.MaxSize)/memtableShare)
	o := &pebble.Options{
		FS:                          in.fs,
		WALDir:                      pebble.MakeStoreRelativePath(in.fs, logDir),
		ReadOnly:                    in.readOnly,
		FormatMajorVersion:          pebble.FormatWALSyncChunks,
		MemTableSize:                uint64(memtable),
		MemTableStopWritesThreshold: memtables,
		CacheSize:                   memtables*memtable + blockCache, // memtables are taken out of it
		MaxOpenFiles:                64 + 10,
		L0StopWritesThreshold:       64,
		LBaseMaxBytes:               16 << 20,
		MaxManifestFileSize:         1 << 20,
		FlushDelayDeleteRange:       time.Second,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 1 },
		Logger:                      pebbleLogger{in},
		EventListener: &pebble.EventListener{
			BackgroundError: in.backgroundError,
			DataCorruption:  func(pebble.DataCorruptionInfo) {},
		},
	}
	o.Experimental.FileCacheShards = 1
	for i := range o.TargetFileSizes {
		o.TargetFileSizes[i] = 2 << 20
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].BlockSize = 16 << 10
	}
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	return o
}

// backgroundError is called by pebble when a flush or a compaction failed; it would try again at once and for
// ever.
func (in *instance) backgroundError(err error) {
	if errors.Is(err, pebble.ErrCancelledCompaction) {
		return
	}
	in.s.fail(in, err)
	// Slows down the retries of an instance that cannot be closed.
	time.Sleep(100 * time.Millisecond)
}

type pebbleLogger struct{ in *instance }

func (l pebbleLogger) Infof(format string, args ...any) {}

func (l pebbleLogger) Errorf(format string, args ...any) {
	l.in.s.logger.Debug("Store database error", "err", fmt.Sprintf(format, args...))
}

// Fatalf is where pebble gives up. The goroutine ends: pebble expects the process to.
func (l pebbleLogger) Fatalf(format string, args ...any) {
	l.in.s.fail(l.in, fmt.Errorf(format, args...))
	runtime.Goexit()
}

func (s *Store) newFS() *diskFS {
	return &diskFS{FS: vfs.Default, syncLog: s.opt.Sync, faults: s.opt.Faults}
}

// openInstance opens the database in dir. An instance that does not open is dead.
func (s *Store) openInstance(dir string, readOnly bool) (*instance, error) {
	in := &instance{
		s: s, fs: s.newFS(), readOnly: readOnly, expired: math.MinInt64,
		ops: make(chan *operation, 16), dead: make(chan struct{}),
	}
	in.fs.failed = func(err error) { s.fail(in, err) }
	opened := make(chan error, 1)
	go func() {
		err := errDied
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("open database: panic: %v", r)
			}
			opened <- err
		}()
		in.db, err = pebble.Open(dir, in.options())
	}()
	err := <-opened // also of a fenced instance, for which every change succeeds at once
	select {
	case <-in.dead:
		err = in.err
	default:
	}
	if err != nil {
		in.die(err)
		in.dispose()
		return in, err
	}
	go in.work()
	return in, nil
}

// die fences the instance. It may be called any number of times, from any goroutine.
func (in *instance) die(err error) {
	in.deadOnce.Do(func() {
		in.err = err
		// In this order: what the fence swallows must not be taken for written, see Store.do.
		close(in.dead)
		in.fs.fenced.Store(true)
	})
}

// release ends the use of a batch. One of a dead database is not used again, because goroutines of pebble may still read it.
func (in *instance) release(b *pebble.Batch) {
	select {
	case <-in.dead:
	default:
		b.Close()
	}
}

// dispose closes a dead database in the background, as far as that is still possible.
func (in *instance) dispose() {
	in.die(errDied)
	in.s.disposing.Go(func() {
		defer func() { recover() }()
		in.refs.Wait()
		if in.db == nil {
			return
		}
		in.db.Close()
	})
}

// work runs operations one after the other. It ends with the instance.
func (in *instance) work() {
	var op *operation
	defer func() {
		err := errDied
		if r := recover(); r != nil {
			err = fmt.Errorf("panic in database: %v", r)
		}
		if op != nil {
			in.s.fail(in, err)
			op.done <- err
		}
	}()
	for {
		select {
		case <-in.dead:
			return
		case op = <-in.ops:
		}
		err := op.run(in)
		in.s.finished(in, op)
		last := op.last
		op.done <- err
		op = nil
		if last {
			return
		}
	}
}
