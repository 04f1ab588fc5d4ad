package activity

import (
	"cmp"
	"slices"
	"time"
)

// refusals counts rejected webhooks by reason, in the steps of a ring.
type refusals struct {
	byReason map[string]*ring
	last     map[string]time.Time
}

// Refusals are the rejected webhooks of a reason during the last 15 minutes.
type Refusals struct {
	Reason string
	Count  uint64
	Last   time.Time
}

// Refused counts a rejected webhook. The reasons are a fixed set. It is called from any goroutine.
func (a *Activity) Refused(reason string) {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	r := &a.refusals
	if r.byReason == nil {
		r.byReason, r.last = map[string]*ring{}, map[string]time.Time{}
	}
	if r.byReason[reason] == nil {
		r.byReason[reason] = new(ring)
	}
	r.byReason[reason].at(now).rejects++
	r.last[reason] = now
}

// Refusals returns the rejected webhooks of the last 15 minutes, the most frequent reason first.
func (a *Activity) Refusals() []Refusals {
	now := a.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []Refusals
	for reason, r := range a.refusals.byReason {
		r.at(now)
		found := Refusals{Reason: reason, Last: a.refusals.last[reason]}
		for _, c := range r.steps {
			found.Count += uint64(c.rejects)
		}
		if found.Count > 0 {
			all = append(all, found)
		}
	}
	slices.SortFunc(all, func(a, b Refusals) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason)) })
	return all
}
