package collector

import (
	"container/list"
	"time"
)

const (
	// other is the label value that stands for all that have no series of their own.
	other = "_other"
	// invalid is the one that stands for what cannot be the name of anything.
	invalid = "_invalid"
)

const (
	// candidatesPerPlace is how many values without a series are counted for each that has one. A value
	// that makes up more than 1/(4 N) of what comes is noticed, whatever else comes.
	candidatesPerPlace = 4
	// leastEvidence is how often a value must have been seen, and by how much more than by half as often
	// again as the one it displaces. Values that are seen equally often do not displace each other.
	leastEvidence = 8
)

// limit is what the capped labels of one metric have in common, for all proxies.
type limit struct {
	places        int           // values that have series of their own, for each proxy
	grace, expiry time.Duration // see Options
	limited       *series       // counts what went to _other
}

// capped is one label of one proxy, or a few that are one value together, whose values the network
// chooses. Those that are seen most have series of their own; what comes for all others goes to _other.
// One decision serves all series of a value.
//
// A value's series are live; then, when a value that is seen more often needs the place, frozen: they
// stay as they are for the grace, so that every scraper has seen their last value, and what comes
// for the value goes to _other; then gone. A value that nothing comes for is gone after the expiry,
// without a grace, for it has not changed for longer than that. Whoever comes back begins at 0. So each
// increment is in one series from the start and stays there, and nothing that is in a series is lost
// before it was scraped.
type capped[K comparable] struct {
	*limit
	open func(K, time.Time) []*series // makes the series of a value
	rest K                            // the value that stands for all others

	pinned  map[K][]*series // values that are there until they are unpinned, and take no place
	places  map[K]*place[K]
	waiting candidates[K]
	// live and frozen have the places as *place[K]: those that nothing came for the longest, and those
	// that were frozen first, in front.
	live, frozen *list.List
	// floor is at most how often any live value was seen: for less than that nobody is displaced.
	floor    uint32
	halvedAt time.Time

	distinct distinct[K]
	count    *series // how many values were seen
}

// place is the series of one value.
type place[K comparable] struct {
	value  K
	series []*series
	inList *list.Element // of live or frozen
	// seen is how often the value came, halved every grace.
	seen    uint32
	movedAt time.Time
	goneAt  time.Time // when the grace is over; zero while the series are live
}

func newCapped[K comparable](l *limit, count *series, now time.Time, rest K, open func(K, time.Time) []*series) *capped[K] {
	return &capped[K]{
		limit: l, open: open, rest: rest, pinned: map[K][]*series{}, places: map[K]*place[K]{}, live: list.New(), frozen: list.New(),
		waiting: newCandidates[K](l.places * candidatesPerPlace), halvedAt: now, distinct: newDistinct[K](), count: count,
	}
}

// pin gives a value series that are there from now on, whether anything comes for it or not. Those that it
// has stay, for there must not be two of the same labels.
func (c *capped[K]) pin(value K, now time.Time) []*series {
	if list, ok := c.pinned[value]; ok {
		return list
	}
	var list []*series
	if p, has := c.places[value]; has && !p.isOver(now) {
		list = p.series
		c.leave(p)
	} else {
		if has {
			c.remove(p)
		}
		list = c.open(value, now)
	}
	c.waiting.remove(value)
	c.pinned[value] = list
	return list
}

// unpin has a value be one like any other. There can be more of them than places until some expire, or are
// displaced.
func (c *capped[K]) unpin(value K, now time.Time) {
	if list, ok := c.pinned[value]; ok {
		delete(c.pinned, value)
		c.add(&place[K]{value: value, series: list, movedAt: now})
	}
}

// of returns the series in which something that came for a value is to be counted, now and at once.
func (c *capped[K]) of(value K, now time.Time) []*series {
	c.distinct.add(value)
	if list, ok := c.pinned[value]; ok {
		return list
	}
	if value == c.rest {
		return c.pin(value, now)
	}
	c.age(now)
	p, has := c.places[value]
	if has && p.isOver(now) {
		c.remove(p)
		has = false
	}
	switch {
	case has && p.goneAt.IsZero():
		p.seen++
		p.movedAt = now
		c.live.MoveToBack(p.inList)
		return p.series
	case !has && c.live.Len() < c.limit.places:
		c.waiting.remove(value)
		return c.place(value, 1, now)
	}
	if seen := c.waiting.see(value); !has && c.displace(seen, now) {
		c.waiting.remove(value)
		return c.place(value, seen, now)
	}
	c.limited.add(1)
	return c.pin(c.rest, now)
}

func (c *capped[K]) place(value K, seen uint32, now time.Time) []*series {
	p := &place[K]{value: value, series: c.open(value, now), seen: seen, movedAt: now}
	c.add(p)
	return p.series
}

func (c *capped[K]) add(p *place[K]) {
	c.places[p.value] = p
	p.inList = c.live.PushBack(p)
	c.floor = 0
}

// displace freezes the live value that was seen least, if one that was seen so often is to have its
// place. No more values are frozen at a time than there are places.
func (c *capped[K]) displace(seen uint32, now time.Time) bool {
	enough := func(least uint32) bool { return seen >= least+least/2+leastEvidence }
	if c.frozen.Len() >= c.limit.places || !enough(c.floor) {
		return false
	}
	// Of those that were seen equally seldom, the first is the one that nothing came for the longest.
	var weakest *place[K]
	for e := c.live.Front(); e != nil; e = e.Next() {
		if p := e.Value.(*place[K]); weakest == nil || p.seen < weakest.seen {
			weakest = p
		}
	}
	if !enough(weakest.seen) {
		c.floor = weakest.seen
		return false
	}
	weakest.goneAt = now.Add(c.grace)
	c.live.Remove(weakest.inList)
	weakest.inList = c.frozen.PushBack(weakest)
	return true
}

// age has what was seen long ago count less.
func (c *capped[K]) age(now time.Time) {
	for steps := 0; now.Sub(c.halvedAt) >= c.grace; steps++ {
		if steps == 32 { // everything is 0
			c.halvedAt = now
			return
		}
		c.halvedAt = c.halvedAt.Add(c.grace)
		c.floor = 0
		c.waiting.halve()
		for _, p := range c.places {
			p.seen /= 2
		}
	}
}

func (p *place[K]) isOver(now time.Time) bool { return !p.goneAt.IsZero() && !now.Before(p.goneAt) }

// sweepValues is how many values a step of a sweep removes.
const sweepValues = 100

// sweep removes values that are over, some at a time, and updates how many values there were. It reports
// whether there may be more to remove.
func (c *capped[K]) sweep(now time.Time) (more bool) {
	if n, changed := c.distinct.estimate(); changed {
		c.count.set(n)
	}
	for range sweepValues {
		if !c.sweepFirst(c.frozen, now) && !c.sweepFirst(c.live, now) {
			return false
		}
	}
	return true
}

// sweepFirst removes the first place of a list if it is over.
func (c *capped[K]) sweepFirst(of *list.List, now time.Time) bool {
	first := of.Front()
	if first == nil {
		return false
	}
	p := first.Value.(*place[K])
	if !p.isOver(now) && (!p.goneAt.IsZero() || now.Sub(p.movedAt) < c.expiry) {
		return false
	}
	c.remove(p)
	return true
}

func (c *capped[K]) remove(p *place[K]) {
	c.leave(p)
	dropAll(p.series)
}

// leave gives up a place, and leaves its series alone.
func (c *capped[K]) leave(p *place[K]) {
	delete(c.places, p.value)
	if p.goneAt.IsZero() {
		c.live.Remove(p.inList)
	} else {
		c.frozen.Remove(p.inList)
	}
}

// drop removes everything.
func (c *capped[K]) drop() {
	for _, p := range c.places {
		dropAll(p.series)
	}
	for _, list := range c.pinned {
		dropAll(list)
	}
}
