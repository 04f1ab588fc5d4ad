package verdict

import "slices"

// members are some of the rules, a bit each by their index.
type members []uint64

func newMembers(n int) members { return make(members, (n+63)/64) }

func (m members) add(i int) { m[i/64] |= 1 << (i % 64) }

// subset are the rules that one value of a field leaves. In 10,000 rules most values match a few, and some
// match nearly all: the former are kept as the words that are not 0, so that memory does not grow with the
// square of the rules; the latter as a whole, which is faster to read.
type subset struct {
	at    []uint32
	words []uint64
	// whole, if not nil, takes the place of both, and has the rules without the field besides.
	whole members
}

// wholeShare is which part of all words must be used for a subset to be kept as a whole.
const wholeShare = 4

// newSubset returns the subset of the rules, which are in ascending order, of those that have the field.
func newSubset(rules []uint32, without members) *subset {
	s := new(subset)
	for _, i := range rules {
		word, bit := i/64, uint64(1)<<(i%64)
		if last := len(s.at) - 1; last < 0 || s.at[last] != word {
			s.at, s.words = append(s.at, word), append(s.words, 0)
		}
		s.words[len(s.words)-1] |= bit
	}
	if len(s.at)*wholeShare > len(without) {
		s.whole = slices.Clone(without)
		for i, word := range s.at {
			s.whole[word] |= s.words[i]
		}
		s.at, s.words = nil, nil
	}
	return s
}
