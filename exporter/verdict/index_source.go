package verdict

import (
	"slices"
	"sync"
	"sync/atomic"

	"smithproxy_exporter/exporter/event"
)

// sourceIndex is the index of the proxies. Patterns are tried once for each proxy, and what came of it is
// remembered.
type sourceIndex struct {
	without  members
	literals map[string][]uint32 // rules by the names they give
	patterns []pattern
	defaults []ProxyDefault
	fallback event.Verdict

	known  sync.Map // of string to *knownSource; reading takes no lock
	number atomic.Int64
}

type pattern struct {
	Glob
	rules []uint32
}

// knownSource is what the rules say of one proxy.
type knownSource struct {
	without members
	rules   *subset
	// fallback is its default verdict.
	fallback event.Verdict
}

// maxSources is how many proxies are remembered. A name is what a message says, so they have to be bounded.
const maxSources = 4096

func newSourceIndex(rules []rule, fallback event.Verdict, defaults []ProxyDefault) *sourceIndex {
	ix := &sourceIndex{literals: map[string][]uint32{}, defaults: defaults, fallback: fallback}
	var with []uint32
	ix.without, with = split(rules, func(r *rule) bool { return r.sources != nil })
	patterns := map[Glob]int{}
	for _, i := range with {
		for _, g := range rules[i].sources {
			if g.literal() {
				ix.literals[string(g)] = append(ix.literals[string(g)], i)
				continue
			}
			at, ok := patterns[g]
			if !ok {
				at = len(ix.patterns)
				patterns[g] = at
				ix.patterns = append(ix.patterns, pattern{Glob: g})
			}
			ix.patterns[at].rules = append(ix.patterns[at].rules, i)
		}
	}
	return ix
}

func (ix *sourceIndex) find(source string) *knownSource {
	if known, ok := ix.known.Load(source); ok {
		return known.(*knownSource)
	}
	entry := ix.compute(source)
	if ix.number.Load() < maxSources {
		if _, loaded := ix.known.LoadOrStore(source, entry); !loaded {
			ix.number.Add(1)
		}
	}
	return entry
}

func (ix *sourceIndex) compute(source string) *knownSource {
	entry := &knownSource{without: ix.without, fallback: ix.fallback}
	for i := range ix.defaults {
		if matchAny(ix.defaults[i].Source, source) {
			entry.fallback = ix.defaults[i].Verdict
			break
		}
	}
	rules := slices.Clone(ix.literals[source])
	for _, p := range ix.patterns {
		if p.match(source) {
			rules = append(rules, p.rules...)
		}
	}
	slices.Sort(rules)
	entry.rules = newSubset(rules, ix.without)
	return entry
}
