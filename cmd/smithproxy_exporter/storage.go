package main

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"smithproxy_exporter/collector"
	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/journal"
	"smithproxy_exporter/exporter/pipeline"
	"smithproxy_exporter/exporter/traces"
)

// storage is what outlives the process: the journal of events, and the spans that wait.
type storage struct {
	dir    *journal.Dir
	log    *journal.Log
	queue  *journal.Queue // nil when there is nowhere to send spans
	config config.Storage
	meter  *collector.Storage
	logger *slog.Logger
}

// journalShare is the part of the storage's bound by which the journal may grow before it is written
// anew, for there are two of it while it is.
const journalShare = 8

func openStorage(path string, c config.Storage, logger *slog.Logger) (*storage, error) {
	dir, err := journal.OpenDir(path)
	if err != nil {
		return nil, fmt.Errorf("storage.path: %w", err)
	}
	return &storage{
		dir: dir, config: c, logger: logger,
		log: journal.OpenLog(dir, "events", journal.LogOptions{Sync: c.Sync}),
	}, nil
}

// rewriteBytes is by how much the journal may grow; 0 leaves it to the pipeline.
func (s *storage) rewriteBytes() int64 {
	const unbounded = 256 << 20
	if s.config.MaxSize >= unbounded {
		return 0
	}
	return int64(s.config.MaxSize) / journalShare
}

// openQueue opens the spans that wait. dropped is told how many went because there was no room.
func (s *storage) openQueue(dropped func(spans int)) {
	queue, damage, err := journal.OpenQueue(s.dir, "spans", journal.QueueOptions{
		Sync: s.config.Sync, Dropped: dropped,
		Limit: func() int64 { return int64(s.config.MaxSize) - s.log.Size() },
	})
	s.queue = queue
	s.damaged(collector.PartOutbox, damage)
	if err != nil {
		s.fault(collector.PartOutbox, collector.FaultRead, err)
		s.logger.Error("Spans from before cannot be read; it is tried again", "err", err)
	}
}

// state is what the metrics show. pending is only asked when there is a queue.
func (s *storage) state(pending func() int) collector.StorageState {
	return collector.StorageState{
		JournalBytes: s.log.Size,
		OutboxBytes: func() int64 {
			if s.queue == nil {
				return 0
			}
			return s.queue.Size()
		},
		Pending: func() int {
			if s.queue == nil {
				return 0
			}
			return pending()
		},
		Oldest: func() time.Time {
			if s.queue == nil {
				return time.Time{}
			}
			return s.queue.Oldest()
		},
	}
}

// close is called last.
func (s *storage) close() error {
	var errs []error
	if s.queue != nil {
		errs = append(errs, s.queue.Close())
	}
	return errors.Join(append(errs, s.log.Close(), s.dir.Close())...)
}

func (s *storage) fault(part, fault string, err error) {
	s.meter.Fault(part, fault, 1)
	s.logger.Debug("Storage", "part", part, "fault", fault, "err", err)
}

// damaged counts and tells what could not be read. A torn tail alone is what any crash leaves: it had
// not been acknowledged.
func (s *storage) damaged(part string, d journal.Damage) {
	if places := d.Entries + d.Segments; places > 0 {
		s.meter.Fault(part, collector.FaultDamage, places)
		s.logger.Error("Some of what was written is damaged; the rest is kept", "part", part, "damage", d.Error())
	} else if d.Any() {
		s.logger.Info("The last write before was not complete, and had not been acknowledged", "part", part, "bytes", d.Torn)
	}
}

// events is the journal as the pipeline sees it.
type events struct{ *storage }

var _ pipeline.Journal = events{}

func (e events) Replay(visit func(entry []byte) error) error {
	damage, err := e.log.Replay(visit)
	e.damaged(collector.PartJournal, damage)
	if err != nil {
		e.fault(collector.PartJournal, collector.FaultRead, err)
	}
	return err
}

func (e events) Append(entries [][]byte) error { return e.written(e.log.Append(entries)) }

func (e events) Rewrite(entries iter.Seq[[]byte]) error { return e.written(e.log.Rewrite(entries)) }

func (e events) Size() int64 { return e.log.Size() }

func (e events) written(err error) error {
	if err != nil {
		e.fault(collector.PartJournal, collector.FaultWrite, err)
	}
	return err
}

// spans is the queue as the outbox sees it.
type spans struct{ *storage }

var _ traces.Store = spans{}

func (s spans) Append(payloads [][]byte, weights []int) error {
	err := s.queue.Append(payloads, weights)
	if err != nil {
		s.fault(collector.PartOutbox, collector.FaultWrite, err)
	}
	return err
}

// Next passes over what is damaged.
func (s spans) Next(maxBytes, maxSpans int) ([][]byte, uint64, error) {
	for {
		payloads, mark, err := s.queue.Next(maxBytes, maxSpans)
		var damage journal.Damage
		if !errors.As(err, &damage) {
			if err != nil {
				s.fault(collector.PartOutbox, collector.FaultRead, err)
			}
			return payloads, mark, err
		}
		s.damaged(collector.PartOutbox, damage)
	}
}

func (s spans) Done(mark uint64) error {
	err := s.queue.Done(mark)
	if err != nil {
		s.fault(collector.PartOutbox, collector.FaultWrite, err)
	}
	return err
}

func (s spans) Weight() int64 { return s.queue.Weight() }
