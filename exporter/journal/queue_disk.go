package journal

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"slices"
)

// metaSize is what precedes a payload in an entry of a queue: the append time in nanoseconds since 1970
// int64, the weight uint32.
const metaSize = 12

// queueDisk is the files of a queue. Its methods are tasks.
type queueDisk struct {
	folder folder
	cursor cursor
	// file is the segment of that number, open for writing.
	file   file
	number uint64
	// batch is what is to be written: to a segment that is there, or to a new one, next.
	batch batch
	next  uint64
	// unsettled says that a write has begun, and its result has not been taken: what it left is to be
	// undone.
	unsettled bool
	// obsolete are segments to be removed. They may take up to spare bytes if they cannot be.
	obsolete []stored
	spare    int64
	// found is the result of load.
	found *foundQueue
}

// fill makes the batch, and says its weight.
func (d *queueDisk) fill(at position, payloads [][]byte, weights []int, now int64) (weight int64) {
	if cap(d.batch.buf) > keepBuffer {
		d.batch.buf = nil
	}
	d.batch.reset(at)
	var meta [metaSize]byte
	binary.LittleEndian.PutUint64(meta[:], uint64(now))
	for i, p := range payloads {
		w := uint32(1)
		if weights != nil {
			w = uint32(min(max(weights[i], 0), math.MaxUint32))
		}
		binary.LittleEndian.PutUint32(meta[8:], w)
		weight += int64(w)
		d.batch.add(kindEntry, meta[:], p)
	}
	return weight
}

// parseMeta splits what fill puts together.
func parseMeta(entry []byte) (q queued, ok bool) {
	if len(entry) < metaSize {
		return queued{}, false
	}
	return queued{
		int64(binary.LittleEndian.Uint64(entry)), int64(binary.LittleEndian.Uint32(entry[8:])), entry[metaSize:],
	}, true
}

// queued is an entry of a queue.
type queued struct {
	at, weight int64
	payload    []byte
}

// size is that of its frame.
func (q queued) size() int64 { return frameHeaderSize + metaSize + int64(len(q.payload)) }

// nextQueued is next for the entries of a queue.
func (s *scanner) nextQueued() (queued, bool) {
	for {
		_, entry, ok := s.next()
		if !ok {
			return queued{}, false
		}
		if q, ok := parseMeta(entry); ok {
			return q, true
		}
	}
}

// write is a task: it writes the batch, after having removed what must go before. If the segment does
// not take it, a new one may: there can be a limit to the size of a file, or a fault of this one.
func (d *queueDisk) write() error {
	if err := d.clean(); err != nil {
		var kept int64
		for _, s := range d.obsolete {
			kept += s.size
		}
		if kept > d.spare {
			return err
		}
	}
	if d.unsettled {
		d.closeFile()
		if err := d.folder.remove(fileName(d.next)); err != nil {
			return err
		}
	}
	d.unsettled = true
	if d.batch.at.segment != d.next {
		if d.extend() == nil {
			return nil
		}
		d.batch.move(start(d.next))
	}
	return d.begin()
}

// settled takes the result of a write that succeeded.
func (d *queueDisk) settled() { d.unsettled = false }

// extend writes the batch behind what is in a segment.
func (d *queueDisk) extend() error {
	at := d.batch.at
	if d.file == nil || d.number != at.segment {
		d.closeFile()
		f, err := d.folder.resume(at)
		if err != nil {
			return err
		}
		d.file, d.number = f, at.segment
	}
	err := d.batch.write(d.file)
	if err == nil {
		err = d.folder.datasync(d.file)
	}
	if err != nil {
		// If this fails, too, it is done when the segment is opened again: it is not written to as
		// long as the file is not.
		_ = d.file.Truncate(at.offset)
		d.closeFile()
	}
	return err
}

// begin writes the batch to a new segment.
func (d *queueDisk) begin() error {
	d.closeFile()
	name := fileName(d.next)
	f, err := d.folder.create(name, os.O_TRUNC)
	if err != nil {
		return err
	}
	d.file, d.number = f, d.next
	if err = d.batch.write(f); err == nil {
		err = d.folder.datasync(f)
	}
	if err == nil {
		err = d.folder.syncDir()
	}
	if err != nil {
		d.closeFile()
		return errors.Join(err, d.folder.remove(name))
	}
	return nil
}

// clean is a task: it keeps the cursor and then removes what is obsolete. The cursor comes first, for
// what lies behind it and is not there has been lost. But a cursor for which there is no room waits for
// the removal that makes some.
func (d *queueDisk) clean() error {
	sync := d.folder.sync && len(d.obsolete) > 0
	kept := d.cursor.save(sync)
	var failed error
	d.obsolete = slices.DeleteFunc(d.obsolete, func(s stored) bool {
		if s.number == d.number {
			d.closeFile()
		}
		err := d.folder.remove(fileName(s.number))
		if err != nil {
			failed = err
		}
		return err == nil
	})
	if kept != nil {
		kept = d.cursor.save(sync)
	}
	return errors.Join(kept, failed)
}

func (d *queueDisk) closeFile() {
	if d.file != nil {
		d.file.Close()
		d.file = nil
	}
}

// close is a task: it closes all files.
func (d *queueDisk) close() error {
	d.closeFile()
	return d.cursor.close()
}
