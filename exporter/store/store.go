package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Metrics counts. Its methods are called from any goroutine and must not call the Store.
type Metrics interface {
	WriteFailed()       // an outage began, or an attempt to end it failed
	ReadFailed()        // a read failed for another reason than damage
	Damaged(n int)      // records, payloads, tombstones or pieces of log that could not be read
	SpansDropped(n int) // spans dropped because there was no room for them
}

type noMetrics struct{}

func (noMetrics) WriteFailed()     {}
func (noMetrics) ReadFailed()      {}
func (noMetrics) Damaged(int)      {}
func (noMetrics) SpansDropped(int) {}

// Options are the options of Open. The zero value is usable.
type Options struct {
	// A MaxSize of 0 is that of DefaultConfig.
	Config
	// History bounds the history; the zero value keeps none.
	History HistoryLimits
	Logger  *slog.Logger
	Metrics Metrics

	// Timeout bounds Commit, Tombstones and RemoveSpans; 0 is 1 s.
	Timeout time.Duration
	// ReopenInterval is the pause between attempts to end an outage; 0 is 5 s.
	ReopenInterval time.Duration
	// MaxMemorySpans and MaxMemoryTombstones bound what is kept in memory during an outage, in bytes and as a
	// number; 0 is 32 MiB and 200,000.
	MaxMemorySpans      int64
	MaxMemoryTombstones int
	// Faults is for tests: it is called before every file operation, which fails with its error. It may block.
	Faults func(op, path string) error
}

// Store is an open store. Its methods may be called from any goroutine, but Commit, BeginRewrite and EndRewrite
// from one at a time.
type Store struct {
	path, dir string
	opt       Options
	logger    *slog.Logger
	metrics   Metrics
	lock      *os.File
	added     chan struct{}
	wake      chan struct{}
	closing   chan struct{}
	// supervised is closed when supervise has returned.
	supervised chan struct{}
	size       atomic.Int64
	written    atomic.Int64   // bytes committed since the size was measured
	disposing  sync.WaitGroup // databases that were given up and are not closed yet
	timers     sync.Pool      // of *time.Timer; a store's own, because a timer belongs to one clock (testing/synctest)

	mu                sync.Mutex
	stepped           sync.Cond           // of mu; tests wait for a step of the supervisor
	inst              *instance           // nil after a failure, until the database is open again
	fences            []*diskFS           // of instances that were given up
	working           bool                // inst answers, and nothing in memory waits to be written
	corrupt           bool                // salvage the database when it is opened next
	outage            bool                // logged
	closed            bool                //
	lo, hi            uint32              // epochs of records on disk; Commit writes to hi
	begun             uint32              // 0, or the epoch that BeginRewrite began
	nextID            uint64              // of a payload
	reopen            time.Time           // when to try next
	pending           spanTotals          // all payloads that wait
	oldest            oldestSpan          // on disk
	handed            map[uint64]spanMeta // on disk, visited by Spans
	removed           map[uint64]spanMeta // to be removed from disk
	mem               []memorySpan        // ascending ids
	memSize           int64
	history           history
	tombs             map[hash]memoryTombstone
	filter            tombFilter
	tombSize          int64  // estimate of the bytes of tombstones on disk
	trimmed           uint64 // payloads below are covered by a range deletion
	freed             int64  // bytes of payloads removed since
	full              bool   // the bound was logged
	garbage, lastSize int64  // see enforceBound
	lastDrop          time.Time
}

// Open opens the store in the subdirectory "store" of path, and creates what is missing. ErrLocked,
// ErrNewerFormat and ErrNotStore are permanent errors; nothing was touched then. Any other fault is an outage: Open
// returns a Store that tries again in the background. Open repairs a damaged store. It may take as long as
// reading all records and tombstones does, and longer on a slow disk.
func Open(path string, o Options) (*Store, error) {
	if o.MaxSize == 0 {
		o.MaxSize = DefaultConfig().MaxSize
	}
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	if o.ReopenInterval == 0 {
		o.ReopenInterval = 5 * time.Second
	}
	if o.MaxMemorySpans == 0 {
		o.MaxMemorySpans = 32 << 20
	}
	if o.MaxMemoryTombstones == 0 {
		o.MaxMemoryTombstones = 200_000
	}
	path = filepath.Clean(path)
	s := &Store{
		path: path, dir: filepath.Join(path, storeDir), opt: o, logger: o.Logger, metrics: o.Metrics,
		added: make(chan struct{}, 1), wake: make(chan struct{}, 1), closing: make(chan struct{}), supervised: make(chan struct{}),
		handed: map[uint64]spanMeta{}, removed: map[uint64]spanMeta{}, tombs: map[hash]memoryTombstone{},
		nextID: 1, history: history{next: 1},
	}
	s.stepped.L = &s.mu
	s.history.chunkBytes = max(1, s.historyLimit()/chunkShare)
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if s.metrics == nil {
		s.metrics = noMetrics{}
	}
	if err := s.start(); permanent(err) {
		if s.lock != nil {
			s.lock.Close()
		}
		return nil, err
	} else if err != nil {
		s.mu.Lock()
		s.beginOutage(err)
		s.reopen = time.Now().Add(o.ReopenInterval)
		s.mu.Unlock()
	}
	go s.supervise()
	return s, nil
}

func permanent(err error) bool {
	return errors.Is(err, ErrLocked) || errors.Is(err, ErrNewerFormat) || errors.Is(err, ErrNotStore)
}

// start opens the database and makes it current.
func (s *Store) start() error {
	if s.lock != nil && !isLock(s.lock, s.path) { // the directory was removed
		s.lock.Close()
		s.lock = nil
	}
	if s.lock == nil {
		if err := makeDir(s.path); err != nil {
			return err
		}
		f, err := lock(s.path)
		if err != nil {
			return err
		}
		s.lock = f
	}
	in, found, err := s.openOrRepair()
	if err != nil {
		return err
	}
	if err := s.adopt(in, found); err != nil {
		in.dispose()
		return err
	}
	return nil
}

// Size is the size of the store on disk in bytes, as last measured.
func (s *Store) Size() int64 { return s.size.Load() }

var errClosed = errors.New("store: closed")

// Close closes the store. It returns within 2 s, with an error if the disk hangs. What has been committed stays.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed, s.working = true, false
	in := s.inst
	s.inst = nil
	s.mu.Unlock()
	close(s.closing)
	defer func() {
		if s.lock != nil {
			s.lock.Close()
		}
	}()
	if in == nil {
		select {
		case <-s.supervised: // it may be opening the database
		case <-time.After(time.Second):
		}
		return nil
	}
	closed := make(chan error, 1)
	go func() {
		err := errDied
		defer func() {
			if r := recover(); r != nil {
				err = fmt.Errorf("close store: %v", r)
			}
			closed <- err
		}()
		<-s.supervised
		in.refs.Wait()
		// Nothing may use the database while it is closed.
		last := &operation{done: make(chan error, 1), last: true, run: func(*instance) error { return nil }}
		in.ops <- last
		select {
		case <-last.done:
		case <-in.dead:
		}
		err = in.db.Close()
	}()
	select {
	case err := <-closed:
		in.die(errClosed)
		return err
	case <-time.After(time.Second):
	}
	// A long compaction: without the disk it ends. Nothing that was committed depends on it.
	in.die(errClosed)
	select {
	case <-closed:
		return nil
	case <-time.After(time.Second):
		return errors.New("close store: the disk does not answer")
	}
}
