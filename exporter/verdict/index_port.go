package verdict

import (
	"maps"
	"slices"
)

// portIndex is the index of the server ports: the ports are cut where a range begins or has ended, and
// within each piece the same rules match.
type portIndex struct {
	without members
	pieces  []piece
}

type piece struct {
	from  uint16
	rules *subset
}

func newPortIndex(rules []rule) *portIndex {
	ix := &portIndex{}
	var with []uint32
	ix.without, with = split(rules, func(r *rule) bool { return r.ports != nil })
	// What changes at a port: rules that begin to match, and ones that cease to. One past the last port
	// is no port, and needs no piece.
	type change struct{ begin, end []uint32 }
	changes := map[int]*change{0: {}}
	at := func(port int) *change {
		if changes[port] == nil {
			changes[port] = &change{}
		}
		return changes[port]
	}
	for _, i := range with {
		for _, p := range rules[i].ports {
			begin, end := at(int(p.From)), at(int(p.To)+1)
			begin.begin = append(begin.begin, i)
			end.end = append(end.end, i)
		}
	}
	delete(changes, 1<<16)
	open := make([]int, len(rules)) // ranges that a rule has open
	var matching []uint32
	for _, port := range slices.Sorted(maps.Keys(changes)) {
		for _, i := range changes[port].begin {
			if open[i]++; open[i] == 1 {
				n, _ := slices.BinarySearch(matching, i)
				matching = slices.Insert(matching, n, i)
			}
		}
		for _, i := range changes[port].end {
			if open[i]--; open[i] == 0 {
				n, _ := slices.BinarySearch(matching, i)
				matching = slices.Delete(matching, n, n+1)
			}
		}
		ix.pieces = append(ix.pieces, piece{uint16(port), newSubset(matching, ix.without)})
	}
	return ix
}

func (ix *portIndex) find(port uint16) *subset {
	n, found := slices.BinarySearchFunc(ix.pieces, port, func(p piece, port uint16) int { return int(p.from) - int(port) })
	if !found {
		n--
	}
	return ix.pieces[n].rules
}
