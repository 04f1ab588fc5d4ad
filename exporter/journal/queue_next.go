package journal

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// Next hands out the entries at the reading position, and moves it behind them: as many as have no more
// than maxBytes of payload and maxWeight together, one at least if there is one; none is len 0. They
// are of one segment, so there can be fewer. mark is for Done. The payloads are the caller's.
//
// Next reads in the goroutine of its caller, without a limit of time. An error, without payloads, says
// that something could not be read. If it is a Damage, that has been passed over, and the next call goes
// on behind it; after any other the next call tries again.
func (q *Queue) Next(maxBytes, maxWeight int) (payloads [][]byte, mark uint64, err error) {
	for {
		q.mu.Lock()
		damage := q.damage
		q.damage = Damage{}
		from, end, ok := q.backlog.unread()
		q.mu.Unlock()
		if damage.Any() {
			return nil, 0, q.wrap("next", damage)
		}
		if !ok {
			return nil, 0, nil
		}
		began := q.options.Now().UnixNano()
		r, err := q.reader.read(from, end, maxBytes, maxWeight)
		if err != nil {
			return nil, 0, q.wrap("next", err)
		}
		if r.following == 0 {
			// What follows, if anything, was appended since.
			r.following = began
		}
		if mark, ok := q.handOut(r); ok && len(r.payloads) > 0 {
			return r.payloads, mark, nil
		}
	}
}

func (q *Queue) handOut(r reading) (mark uint64, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	known := false
	if s := q.backlog.find(r.from.segment); s != nil {
		known = s.known
	}
	mark, ok = q.backlog.handOut(r)
	if ok && !known {
		q.damage.add(r.damage)
	}
	q.emptyLater()
	return mark, ok
}

// reading is what was read at once, of one segment.
type reading struct {
	from, to position
	payloads [][]byte
	weight   int64
	// first is when the first of them was appended, following when what follows them was, 0 if there
	// is nothing.
	first, following int64
	damage           Damage
}

// reader reads the segments of a queue in order. It keeps no file open, for a file that is open keeps
// its space when it is removed.
type reader struct {
	folder folder
	scan   scanner
}

// read reads at a position, up to the end of what is valid in the segment. A segment that is not there,
// or that cannot be understood, is damage.
func (r *reader) read(from position, end int64, maxBytes, maxWeight int) (reading, error) {
	out := reading{from: from, to: position{from.segment, max(end, fileHeaderSize)}}
	f, err := r.folder.dir.disk.Open(r.folder.join(fileName(from.segment)), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		out.damage.Segments++
		return out, nil
	}
	if err != nil {
		return out, err
	}
	defer f.Close()
	s := &r.scan
	// What is in the window stays so: it is before the end, and that is never written again.
	s.src, s.end, s.damage, s.err = f, end, Damage{}, nil
	if s.number != from.segment {
		s.number, s.window = from.segment, s.window[:0]
		if s.begin() != nil {
			out.damage.Segments++
			return out, nil
		}
	}
	s.pos = from.offset
	s.collect(&out, maxBytes, maxWeight)
	if s.err == nil || errors.Is(s.err, syscall.EIO) || errors.Is(s.err, io.EOF) {
		return out, nil
	}
	s.number = 0
	return out, s.err
}

// collect reads entries into out, within the limits.
func (s *scanner) collect(out *reading, maxBytes, maxWeight int) {
	var block []byte
	var ends []int
	for {
		entry, ok := s.nextQueued()
		if !ok {
			break
		}
		if len(ends) > 0 && (len(block)+len(entry.payload) > maxBytes || out.weight+entry.weight > int64(maxWeight)) {
			out.following = entry.at
			out.to.offset = s.pos - entry.size()
			break
		}
		if len(ends) == 0 {
			out.first = entry.at
		}
		block = append(block, entry.payload...)
		ends = append(ends, len(block))
		out.weight += entry.weight
	}
	out.damage = s.damage.mended()
	out.payloads = make([][]byte, len(ends))
	begin := 0
	for i, end := range ends {
		out.payloads[i] = block[begin:end:end]
		begin = end
	}
}
