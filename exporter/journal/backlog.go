package journal

// backlog is the account of what is in a queue: which segments there are, how far they have been read
// and are done with. It knows no disk and no clock.
type backlog struct {
	// segments are those with something that is not done with, oldest first, and the one that is
	// appended to, which is the last.
	segments []segment
	// next is the number of the segment after the last.
	next uint64
	// bytes is the size of all segments.
	bytes int64
	// weight is that of what is neither done with nor lost.
	weight int64

	// read is the reading position: the end of a segment stands for the start of the one after.
	// readTime is when the entry there was appended; it means nothing at the end of a segment.
	read     position
	readTime int64
	// handed is what was handed out and is not done with, oldest first.
	handed []handed
	mark   uint64
}

// segment is one file of a queue.
type segment struct {
	number uint64
	size   int64
	// unread is the weight of what has not been handed out.
	unread int64
	// first is when the first entry was appended. Times are nanoseconds since 1970.
	first int64
	// sealed says that nothing more can be appended to it.
	sealed bool
	// known says that what is damaged in it was counted when the queue was opened.
	known bool
}

// handed is one batch that was handed out.
type handed struct {
	mark   uint64
	at     position
	weight int64
	first  int64
}

// tail is where the next entry goes: into the last segment if it can take more, else into a new one.
func (b *backlog) tail() position {
	if len(b.segments) == 0 || b.segments[len(b.segments)-1].sealed {
		return start(b.next)
	}
	last := b.segments[len(b.segments)-1]
	return position{last.number, last.size}
}

// add notes that entries were appended, up to end.
func (b *backlog) add(from, end position, weight, at int64) {
	caughtUp := b.caughtUp()
	if from.segment == b.next {
		b.segments = append(b.segments, segment{number: b.next, first: at})
		b.next++
	}
	last := &b.segments[len(b.segments)-1]
	b.bytes += end.offset - last.size
	last.size = end.offset
	last.unread += weight
	b.weight += weight
	if caughtUp {
		b.read, b.readTime = from, at
	}
}

// caughtUp reports whether everything has been read.
func (b *backlog) caughtUp() bool {
	_, _, ok := b.unread()
	return !ok
}

// unread is the reading position, if there is something to read, and the end of its segment.
func (b *backlog) unread() (at position, end int64, ok bool) {
	for i, s := range b.segments {
		if s.number < b.read.segment {
			continue
		}
		if s.number > b.read.segment {
			return start(s.number), s.size, true
		}
		if b.read.offset < s.size {
			return b.read, s.size, true
		}
		if i == len(b.segments)-1 {
			break
		}
	}
	return b.read, 0, false
}

// find is the segment of a number, nil if there is none.
func (b *backlog) find(number uint64) *segment {
	for i := range b.segments {
		if b.segments[i].number == number {
			return &b.segments[i]
		}
	}
	return nil
}

// handOut notes what was read at the reading position. It is not so, and ok false, if the segment has
// been dropped since.
func (b *backlog) handOut(r reading) (mark uint64, ok bool) {
	at, _, ok := b.unread()
	if !ok || at != r.from {
		return 0, false
	}
	s := b.find(at.segment)
	if r.weight > s.unread {
		// What could not be read when the queue was opened can be now.
		b.weight += r.weight - s.unread
		s.unread = r.weight
	}
	s.unread -= r.weight
	b.read, b.readTime = r.to, r.following
	if len(r.payloads) > 0 {
		b.mark++
		b.handed = append(b.handed, handed{b.mark, at, r.weight, r.first})
	}
	b.writeOff()
	return b.mark, true
}

// writeOff takes what is left unread of segments that have been read out of the account: it could not
// be read.
func (b *backlog) writeOff() {
	for i := range b.segments {
		s := &b.segments[i]
		if s.number > b.read.segment || s.number == b.read.segment && b.read.offset < s.size {
			return
		}
		b.weight -= s.unread
		s.unread = 0
	}
}

// done notes that everything up to a mark is done with.
func (b *backlog) done(mark uint64) {
	n := 0
	for n < len(b.handed) && b.handed[n].mark <= mark {
		b.weight -= b.handed[n].weight
		n++
	}
	b.handed = b.handed[:copy(b.handed, b.handed[n:])]
}

// cursor is the position before which everything is done with, or gone.
func (b *backlog) cursor() position {
	at := b.read
	if len(b.handed) > 0 {
		at = b.handed[0].at
	}
	if len(b.segments) == 0 {
		return start(b.next)
	}
	if head := start(b.segments[0].number); at.segment < head.segment {
		return head
	}
	return at
}

// release takes out the segments that are wholly done with, but for the last, which is appended to.
func (b *backlog) release() []stored {
	var out []stored
	for len(b.segments) > 1 {
		s, at := b.segments[0], b.cursor()
		if at.segment == s.number && at.offset < s.size {
			break
		}
		out = append(out, b.shift())
	}
	return out
}

// drop takes out the oldest segment, and says the weight of what of it had not been handed out.
func (b *backlog) drop() (dropped stored, lost int64) {
	lost = b.segments[0].unread
	b.weight -= lost
	return b.shift(), lost
}

// clear takes out everything, once all is done with.
func (b *backlog) clear() []stored {
	var out []stored
	for b.idle() {
		out = append(out, b.shift())
	}
	return out
}

// idle reports whether there are segments, but all that is in them is done with.
func (b *backlog) idle() bool {
	return len(b.segments) > 0 && len(b.handed) == 0 && b.caughtUp()
}

func (b *backlog) shift() stored {
	s := b.segments[0]
	b.segments = b.segments[:copy(b.segments, b.segments[1:])]
	b.bytes -= s.size
	if b.read.segment <= s.number {
		b.read = start(s.number + 1)
		if len(b.segments) > 0 {
			b.readTime = b.segments[0].first
		}
	}
	return stored{s.number, s.size}
}

// oldest is when the oldest entry that is not done with was appended, 0 if there is none.
func (b *backlog) oldest() int64 {
	if len(b.handed) > 0 {
		return b.handed[0].first
	}
	at, _, ok := b.unread()
	switch {
	case !ok:
		return 0
	case at == b.read:
		return b.readTime
	}
	return b.find(at.segment).first
}
