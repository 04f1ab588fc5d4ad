package journal

import (
	"iter"
	"os"
)

const (
	// rewriteName is the file that a Rewrite writes, until it is whole.
	rewriteName = "rewrite.tmp"
	// rewriteStep is how much of it is written at once, and synced if that is asked for: a state of
	// any size then takes steps that each have StallLimit.
	rewriteStep = 1 << 20
)

// rewrite is a Rewrite under way.
type rewrite struct {
	file file
	// at is behind what has been written.
	at position
	// placed says that the file may have its final name.
	placed bool
}

// Rewrite replaces all that is there by these entries: the state as it is now. A crash at any moment
// leaves either what was there before or these. The entries are taken in the goroutine of the caller,
// and each is the caller's again when the next is asked for; while the disk works, entries waits.
// StallLimit holds for each step of about 1 MiB.
//
// After an error the log is as usable, or as broken, as it was before; but when the new entries were
// already in place, or a step stalled, it is broken.
func (l *Log) Rewrite(entries iter.Seq[[]byte]) error {
	if err := l.worker.take(); err != nil {
		return l.wrap("rewrite", err)
	}
	defer l.worker.give()
	return l.wrap("rewrite", l.replace(entries))
}

// replace is Rewrite for who has the turn.
func (l *Log) replace(entries iter.Seq[[]byte]) error {
	err := l.build(entries)
	if err == nil {
		return l.commit()
	}
	if l.worker.late {
		// The rewrite is the worker's; what is left of it is written over by the next.
		return err
	}
	if l.rewrite.placed {
		l.broken = true
	}
	_ = l.run(l.discard)
	return err
}

// build writes the new segment and puts it in place.
func (l *Log) build(entries iter.Seq[[]byte]) error {
	if err := l.run(l.create); err != nil {
		return err
	}
	l.batch.reset(l.rewrite.at)
	var failed error
	for e := range entries {
		if failed = checkEntries([][]byte{e}); failed != nil {
			break
		}
		l.batch.add(kindEntry, nil, e)
		if len(l.batch.buf) < rewriteStep {
			continue
		}
		if failed = l.run(l.extend); failed != nil {
			break
		}
		l.batch.reset(l.rewrite.at)
	}
	if failed != nil {
		return failed
	}
	end := kindWhole
	if !l.replayed {
		end = kindPart
	}
	l.batch.add(end, nil, nil)
	return l.run(l.place)
}

// create is a task: it begins the new segment.
func (l *Log) create() error {
	l.discard()
	if !l.replayed {
		numbers, err := l.folder.segments()
		if err != nil {
			return err
		}
		for _, n := range numbers {
			l.last = max(l.last, n)
		}
	}
	f, err := l.folder.create(rewriteName, os.O_TRUNC)
	if err != nil {
		return err
	}
	// A number is never used twice: a late rename must not come after one that was made since.
	l.last++
	l.rewrite.file, l.rewrite.at = f, start(l.last)
	return nil
}

// extend is a task: it writes the batch to the new segment.
func (l *Log) extend() error {
	if err := l.batch.write(l.rewrite.file); err != nil {
		return err
	}
	if err := l.folder.datasync(l.rewrite.file); err != nil {
		return err
	}
	l.rewrite.at = l.batch.end()
	return nil
}

// place is a task: it writes the rest of the new segment and puts it in place. A crash before the
// rename leaves a file that nothing reads; one after it, older segments that nothing reads.
func (l *Log) place() error {
	if err := l.extend(); err != nil {
		return err
	}
	l.rewrite.placed = true
	to := l.folder.join(fileName(l.rewrite.at.segment))
	if err := l.folder.dir.disk.Rename(l.folder.join(rewriteName), to); err != nil {
		return err
	}
	return l.folder.syncDir()
}

// discard is a task: it undoes what was not put in place.
func (l *Log) discard() error {
	r := l.rewrite
	l.rewrite = rewrite{}
	if r.file == nil {
		return nil
	}
	r.file.Close()
	if r.placed {
		return nil
	}
	return l.folder.remove(rewriteName)
}

// commit makes the new segment the one that is appended to.
func (l *Log) commit() error {
	if l.end.segment != 0 {
		l.obsolete = append(l.obsolete, stored{l.end.segment, l.end.offset})
	}
	if l.replayed {
		l.obsolete = append(l.obsolete, l.older...)
		l.older = nil
	}
	before := l.file
	l.file, l.end, l.rewrite = l.rewrite.file, l.rewrite.at, rewrite{}
	l.broken = false
	l.size.Add(l.end.offset)
	// The state is on disk, so that what goes wrong from here on is not an error of the Rewrite; but a
	// log that stalls is broken.
	_ = l.run(func() error {
		if before != nil {
			before.Close()
		}
		l.clean()
		return nil
	})
	return nil
}
