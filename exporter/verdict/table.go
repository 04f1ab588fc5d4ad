package verdict

import (
	"encoding/binary"
	"iter"
	"net/netip"
	"slices"

	"github.com/gaissmai/bart"
)

// tableBuilder makes a table that leads from an address to the rules of all networks the address is in. The
// look-up finds the longest network only, so each holds the rules of those around it as well.
type tableBuilder struct {
	without members // the rules without the field
	pause   func()
	owners  [][]uint32 // rules in ascending order
	owned   []owned
}

// owned is a network and the rules that it belongs to, as the index of an owner.
type owned struct {
	prefix netip.Prefix
	owner  uint32
}

func (b *tableBuilder) own(rules []uint32, networks iter.Seq[netip.Prefix]) {
	owner := uint32(len(b.owners))
	b.owners = append(b.owners, rules)
	for p := range networks {
		b.owned = append(b.owned, owned{p, owner})
		if len(b.owned)%stride == 0 {
			b.pause()
		}
	}
}

// level is a network around those that follow it in order.
type level struct {
	prefix netip.Prefix
	rules  []uint32
	set    *subset
	// id tells different sets of rules apart, 0 is the empty one.
	id uint32
}

func (b *tableBuilder) build() *bart.Table[*subset] {
	// In this order each network comes before those inside it.
	slices.SortFunc(b.owned, func(x, y owned) int { return x.prefix.Compare(y.prefix) })
	table := new(bart.Table[*subset])
	// The networks of a list that nothing overlaps all have the same rules: each set is made once.
	made := map[string]level{}
	var around []level
	var key []byte
	for n, rest := 0, b.owned; len(rest) > 0; n++ {
		if n%stride == 0 {
			b.pause()
		}
		p := rest[0].prefix
		same := 1
		for same < len(rest) && rest[same].prefix == p {
			same++
		}
		for len(around) > 0 && !contains(around[len(around)-1].prefix, p) {
			around = around[:len(around)-1]
		}
		var outer level
		if len(around) > 0 {
			outer = around[len(around)-1]
		}
		key = binary.LittleEndian.AppendUint32(key[:0], outer.id)
		for _, o := range rest[:same] {
			key = binary.LittleEndian.AppendUint32(key, o.owner)
		}
		inner, ok := made[string(key)]
		if !ok {
			inner.rules = b.join(outer.rules, rest[:same])
			inner.set = newSubset(inner.rules, b.without)
			inner.id = uint32(len(made) + 1)
			made[string(key)] = inner
		}
		inner.prefix = p
		around = append(around, inner)
		table.Insert(p, inner.set)
		rest = rest[same:]
	}
	return table
}

func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

func (b *tableBuilder) join(rules []uint32, more []owned) []uint32 {
	joined := slices.Clone(rules)
	for _, o := range more {
		joined = append(joined, b.owners[o.owner]...)
	}
	slices.Sort(joined)
	return slices.Compact(joined)
}
