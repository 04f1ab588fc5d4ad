package verdict

import "math/bits"

// match intersects what the fields leave of the rules. It is on the stack: a decision allocates nothing.
type match struct {
	fields  [fieldsOfRule]candidates
	nFields int
	cursors [fieldsOfRule + 2*ownTries]cursor
	nCursor int
}

// candidates are what one field leaves: the rules without the field, and those that the value matches, which
// are in a range of the cursors.
type candidates struct {
	without  members
	from, to int
}

// cursor reads a subset block by block.
type cursor struct {
	*subset
	next int
}

// field adds a field that some rule has. Each subset matches that is not nil.
func (m *match) field(without members, matched ...*subset) {
	from := m.nCursor
	for _, s := range matched {
		if s != nil {
			m.cursors[m.nCursor] = cursor{subset: s}
			m.nCursor++
		}
	}
	m.fields[m.nFields] = candidates{without, from, m.nCursor}
	m.nFields++
}

// block is how many words are intersected at a time: the first rules are most likely to decide.
const block = 32

// first returns the first rule that all fields leave, and the first of those that are in live; -1 for none.
func (m *match) first(every, live members) (any, decides int) {
	any = -1
	var left [block]uint64
	for from := 0; from < len(live); from += block {
		n := copy(left[:], every[from:])
		if !m.intersect(left[:n], from) {
			continue
		}
		for i, word := range left[:n] {
			if word == 0 {
				continue
			}
			if any < 0 {
				any = (from+i)*64 + bits.TrailingZeros64(word)
			}
			if word &= live[from+i]; word != 0 {
				return any, (from+i)*64 + bits.TrailingZeros64(word)
			}
		}
	}
	return any, -1
}

// intersect keeps in left, which are the words from an index on, what all fields leave, and reports whether
// that is anything.
func (m *match) intersect(left []uint64, from int) bool {
	for i := range m.fields[:m.nFields] {
		f := &m.fields[i]
		var leaves [block]uint64
		copy(leaves[:len(left)], f.without[from:])
		for j := f.from; j < f.to; j++ {
			m.cursors[j].unite(leaves[:len(left)], from)
		}
		some := uint64(0)
		for w := range left {
			left[w] &= leaves[w%block]
			some |= left[w]
		}
		if some == 0 {
			return false
		}
	}
	return true
}

// unite adds the subset's words from an index on.
func (c *cursor) unite(words []uint64, from int) {
	if c.whole != nil {
		for i, word := range c.whole[from : from+len(words)] {
			words[i] |= word
		}
		return
	}
	for c.next < len(c.at) && int(c.at[c.next]) < from {
		c.next++ // blocks before were empty without this field
	}
	for c.next < len(c.at) && int(c.at[c.next]) < from+len(words) {
		words[int(c.at[c.next])-from] |= c.words[c.next]
		c.next++
	}
}
