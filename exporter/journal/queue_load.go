package journal

// foundQueue is what was found of a queue on disk.
type foundQueue struct {
	backlog  backlog
	obsolete []stored
	damage   Damage
}

// load is a task: it reads what is on disk, once. Its result waits to be taken if nobody does.
func (d *queueDisk) load() error {
	if d.found != nil {
		return nil
	}
	numbers, err := d.folder.segments()
	if err != nil {
		return err
	}
	f := &foundQueue{damage: d.cursor.load()}
	at := d.cursor.want
	if f.damage.Any() && len(numbers) > 0 {
		// Without the cursor there is no telling what came before.
		at = start(numbers[0])
	}
	b := &f.backlog
	b.next, b.read = at.segment, at
	for i, n := range numbers {
		if n < at.segment {
			f.obsolete = append(f.obsolete, stored{n, d.folder.size(n)})
			continue
		}
		f.damage.Segments += int(n - b.next)
		b.next = n + 1
		s, damage := d.loadSegment(n, at, i == len(numbers)-1)
		f.damage.add(damage)
		b.segments = append(b.segments, s)
		b.bytes += s.size
		b.weight += s.unread
		if n == at.segment {
			b.readTime = s.first
		}
	}
	if b.next == at.segment && at.offset > fileHeaderSize {
		// The segment of the cursor is not there, and none after it.
		f.damage.Segments++
		b.next++
	}
	d.found = f
	return nil
}

// loadSegment reads one segment, from the cursor on.
func (d *queueDisk) loadSegment(number uint64, from position, newest bool) (segment, Damage) {
	out := segment{number: number, sealed: true, known: true}
	s, f, err := d.folder.scan(number)
	if err != nil {
		out.size = d.folder.size(number)
		return out, Damage{Segments: 1}
	}
	defer f.Close()
	out.size = s.end
	if number == from.segment {
		if from.offset > s.end {
			// What was done with has been lost; there is nothing more.
			return out, s.damage
		}
		s.pos = from.offset
	}
	entries := 0
	for {
		entry, ok := s.nextQueued()
		if !ok {
			break
		}
		if entries == 0 {
			out.first = entry.at
		}
		out.unread += entry.weight
		entries++
	}
	damage := s.damage
	read := entries > 0 || number == from.segment
	switch {
	case !read && damage.Bytes > 0 || !read && !newest:
		return out, Damage{Segments: 1}
	case !newest && damage.Torn > 0:
		damage = damage.mended()
	case newest && s.err == nil:
		// There is room for more behind the last entry. What was torn is cut off now, so that it is
		// found once; if that fails, the first Append does it.
		out.size, out.sealed = max(s.pos, fileHeaderSize), false
		if damage.Torn > 0 {
			d.file, _ = d.folder.resume(position{number, out.size})
			d.number = number
		}
	}
	out.known = damage.Any()
	return out, damage
}
