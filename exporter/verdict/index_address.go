package verdict

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// addressIndex is the index of the networks that rules name themselves.
type addressIndex struct {
	without members
	table   *bart.Table[*subset]
}

func newAddressIndex(rules []rule, networks func(*rule) []netip.Prefix, pause func()) *addressIndex {
	ix := &addressIndex{}
	var with []uint32
	ix.without, with = split(rules, func(r *rule) bool { return networks(r) != nil })
	b := tableBuilder{without: ix.without, pause: pause}
	for _, i := range with {
		b.own([]uint32{i}, slices.Values(networks(&rules[i])))
	}
	ix.table = b.build()
	return ix
}

func (ix *addressIndex) find(addr netip.Addr) *subset {
	if !addr.IsValid() {
		return nil
	}
	s, _ := ix.table.Lookup(addr)
	return s
}

// listIndex is the index of the lists that rules name. The longest have tries of their own, which their
// rules, both sides and the next configuration share; the rest is in one table, so that the number of lists
// costs a request nothing.
type listIndex struct {
	without members
	long    []longList
	table   *bart.Table[*subset]
}

type longList struct {
	*List
	rules *subset
}

const (
	// ownTries is how many lists are looked up on their own, for each side.
	ownTries = 16
	// shortList is the length up to which a list is always in the table.
	shortList = 1024
)

func newListIndex(rules []rule, lists func(*rule) []*List, pause func()) *listIndex {
	ix := &listIndex{}
	var with []uint32
	ix.without, with = split(rules, func(r *rule) bool { return lists(r) != nil })
	naming := map[*List][]uint32{}
	var all []*List
	for _, i := range with {
		for _, l := range lists(&rules[i]) {
			of, known := naming[l]
			if !known {
				all = append(all, l)
			}
			if !known || of[len(of)-1] != i {
				naming[l] = append(of, i)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b *List) int { return cmp.Compare(b.Len(), a.Len()) })
	b := tableBuilder{without: ix.without, pause: pause}
	for i, l := range all {
		if i < ownTries && l.Len() > shortList {
			ix.long = append(ix.long, longList{l, newSubset(naming[l], ix.without)})
		} else {
			b.own(naming[l], l.networks.All())
		}
	}
	ix.table = b.build()
	return ix
}

// find adds the field to the match.
func (ix *listIndex) find(addr netip.Addr, m *match) {
	var matched [1 + ownTries]*subset
	n := 0
	if addr.IsValid() {
		if s, ok := ix.table.Lookup(addr); ok {
			matched[n] = s
			n++
		}
		for i := range ix.long {
			if ix.long[i].contains(addr) {
				matched[n] = ix.long[i].rules
				n++
			}
		}
	}
	m.field(ix.without, matched[:n]...)
}
