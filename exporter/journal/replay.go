package journal

// Replay visits all that is there, in order. It is called once, before the first Append. An entry is
// valid during its visit only. What could not be read is no error but damage. Replay reads in the
// goroutine of its caller, without a limit of time.
//
// It fails if the folder is not to be had, or with the error of a visit. The log is broken then: a
// Rewrite makes it usable, and leaves what was not replayed for the next process to replay, before
// what the Rewrite wrote. It is broken, too, if nothing can be appended to what was found; damage other
// than a torn tail is a reason to Rewrite in any case, for it is found again otherwise.
func (l *Log) Replay(visit func(entry []byte) error) (Damage, error) {
	if err := l.worker.take(); err != nil {
		return Damage{}, l.wrap("replay", err)
	}
	defer l.worker.give()
	damage, err := l.replay(visit)
	if err != nil {
		return damage, l.wrap("replay", err)
	}
	l.replayed = true
	return damage, nil
}

func (l *Log) replay(visit func(entry []byte) error) (Damage, error) {
	numbers, err := l.folder.segments()
	if err != nil {
		return Damage{}, err
	}
	first := l.first(numbers)
	l.broken = false
	var damage Damage
	for i, n := range numbers {
		l.last = n
		if i < first {
			size := l.folder.size(n)
			l.obsolete = append(l.obsolete, stored{n, size})
			l.size.Add(size)
			continue
		}
		found, err := l.replaySegment(n, visit)
		newest := i == len(numbers)-1
		if !newest {
			found.damage = found.damage.mended()
		}
		damage.add(found.damage)
		l.size.Add(found.size)
		if err != nil {
			l.broken = true
			return damage, err
		}
		if newest && found.usable {
			l.end = position{n, found.end}
			if found.damage.Torn > 0 {
				// It is cut off now, so that it is found once; if that fails, the first Append does it.
				l.file, _ = l.folder.resume(l.end)
				l.size.Add(-found.damage.Torn)
			}
			continue
		}
		l.older = append(l.older, stored{n, found.size})
		// What is appended after a segment that cannot be read would have to be in one of its own, and
		// that begins with a snapshot.
		l.broken = newest
	}
	return damage, nil
}

// found is what a segment was found to be.
type found struct {
	damage Damage
	size   int64
	// end is behind the last entry, where more can go if the segment is usable.
	end    int64
	usable bool
}

func (l *Log) replaySegment(number uint64, visit func(entry []byte) error) (found, error) {
	s, f, err := l.folder.scan(number)
	if err != nil {
		return found{damage: Damage{Segments: 1}, size: l.folder.size(number)}, nil
	}
	defer f.Close()
	read := false
	for {
		k, payload, ok := s.next()
		if !ok {
			break
		}
		read = true
		if k != kindEntry {
			continue
		}
		if err := visit(payload); err != nil {
			return found{damage: s.damage, size: s.end}, err
		}
	}
	if !read {
		// A segment begins with its snapshot, before it has its name.
		return found{damage: Damage{Segments: 1}, size: s.end}, nil
	}
	return found{s.damage, s.end, s.pos, s.err == nil}, nil
}

// first is the index of the segment from which on everything matters: the newest that has the end of a
// snapshot that is all there is; the oldest if none has.
func (l *Log) first(numbers []uint64) int {
	for i := len(numbers) - 1; i > 0; i-- {
		if l.whole(numbers[i]) {
			return i
		}
	}
	return 0
}

func (l *Log) whole(number uint64) bool {
	s, f, err := l.folder.scan(number)
	if err != nil {
		return false
	}
	defer f.Close()
	for {
		k, _, ok := s.next()
		if !ok || k == kindPart {
			return false
		}
		if k == kindWhole {
			return true
		}
	}
}
