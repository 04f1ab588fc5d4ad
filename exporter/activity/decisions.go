package activity

import (
	"slices"
	"time"

	"smithproxy_exporter/exporter/track"
)

const (
	// maxRecent bounds the decisions that are kept.
	maxRecent = 200
	// maxRuleHits bounds the rules that are counted; a configuration has fewer.
	maxRuleHits = 10_000
)

// RuleHits are the decisions of a rule.
type RuleHits struct {
	Hits, DryRunHits uint64
	LastHit          time.Time
}

// decisions are the latest decisions, and the numbers of each rule.
type decisions struct {
	recent []track.Decision // a ring buffer; next is the oldest one once it is full
	next   int
	rules  map[string]*RuleHits
}

func (ds *decisions) add(d *track.Decision) {
	copied := *d
	copied.Repeats = nil
	if len(ds.recent) < maxRecent {
		ds.recent = append(ds.recent, copied)
	} else {
		ds.recent[ds.next] = copied
		ds.next = (ds.next + 1) % maxRecent
	}
	if hits := ds.rule(d.Rule); hits != nil {
		hits.Hits++
		hits.LastHit = d.Received
	}
	if d.DryRunRule != "" {
		if hits := ds.rule(d.DryRunRule); hits != nil {
			hits.DryRunHits++
			hits.LastHit = d.Received
		}
	}
}

func (ds *decisions) rule(name string) *RuleHits {
	hits, ok := ds.rules[name]
	if !ok && len(ds.rules) < maxRuleHits {
		hits = new(RuleHits)
		ds.rules[name] = hits
	}
	return hits
}

// Decisions returns the latest decisions, the latest first.
func (a *Activity) Decisions() []track.Decision {
	a.mu.Lock()
	all := slices.Concat(a.decisions.recent[a.decisions.next:], a.decisions.recent[:a.decisions.next])
	a.mu.Unlock()
	slices.Reverse(all)
	return all
}

// RuleHits returns the decisions of the rules with the names, in their order, since the exporter started.
func (a *Activity) RuleHits(names []string) []RuleHits {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]RuleHits, len(names))
	for i, name := range names {
		if hits, ok := a.decisions.rules[name]; ok {
			all[i] = *hits
		}
	}
	return all
}
