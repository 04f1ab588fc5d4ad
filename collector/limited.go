package collector

import (
	"container/list"
	"time"
)

const (
	// other is the label value for all values without series of their own.
	other = "_other"
	// invalid is the label value for all that cannot be the name of a host.
	invalid = "_invalid"
)

const (
	// candidatesPerSlot is the number of values without a slot that are counted for each slot. With N slots, a value
	// that makes up more than 1/(4 N) of the stream is counted.
	candidatesPerSlot = 4
	// leastEvidence is how much the count of a value must exceed 1.5 times that of the value that it displaces. It
	// keeps values that are equally frequent from displacing each other.
	leastEvidence = 8
)

// limit is shared by the limited labels of one metric, for all proxies.
type limit struct {
	slots         int           // values with series of their own, for each proxy
	grace, expiry time.Duration // see Config
	limited       *series       // counts increments in _other
}

// limitedLabel is a label of one proxy, or a tuple of labels, whose values come from the network. The most frequent
// values have a slot each, with series of their own; the rest is counted in _other. A slot has all series of a value.
//
// A slot is live until a more frequent value displaces it. Then it is frozen for the grace period: its series stay
// unchanged, so that every scraper reads their last value, and the value is counted in _other meanwhile. After that
// the series are dropped. A live slot whose value was not seen for the expiry is dropped at once. A value that
// reappears starts again at 0. So each increment is counted in one series and stays there, and no series is dropped
// before its last value was scraped.
type limitedLabel[K comparable] struct {
	*limit
	open     func(K, time.Time) []*series // makes the series of a value
	overflow K                            // the value for all others
	// group returns the value for all others in the group of a value. nil stands for one group, whose value is overflow.
	// There must be few groups, because their values take no slots.
	group func(K) K

	pinned  map[K][]*series // values that stay until they are unpinned, and take no slot
	slots   map[K]*slot[K]
	waiting candidates[K]
	// live and frozen have the slots as *slot[K], with the slot that was idle for longest, or frozen first, in front.
	live, frozen *list.List
	// threshold is a lower bound of the counts of live values. It avoids searches for a value to displace.
	threshold uint32
	halvedAt  time.Time

	cardinality cardinality[K]
	count       *series // the cardinality, as exposed
}

// slot has the series of one value.
type slot[K comparable] struct {
	value  K
	series []*series
	inList *list.Element // of live or frozen
	// seen is the count of the value, halved every grace period.
	seen    uint32
	movedAt time.Time
	goneAt  time.Time // the end of the grace period; zero while live
}

func newLimitedLabel[K comparable](l *limit, count *series, now time.Time, overflow K, open func(K, time.Time) []*series) *limitedLabel[K] {
	return &limitedLabel[K]{
		limit: l, open: open, overflow: overflow, pinned: map[K][]*series{}, slots: map[K]*slot[K]{}, live: list.New(), frozen: list.New(),
		waiting: newCandidates[K](l.slots * candidatesPerSlot), halvedAt: now, cardinality: newCardinality[K](), count: count,
	}
}

// pin returns series of a value that neither expire nor are displaced. A value keeps its current series.
func (l *limitedLabel[K]) pin(value K, now time.Time) []*series {
	if list, ok := l.pinned[value]; ok {
		return list
	}
	var list []*series
	if p, has := l.slots[value]; has && !p.isOver(now) {
		list = p.series
		l.leave(p)
	} else {
		if has {
			l.remove(p)
		}
		list = l.open(value, now)
	}
	l.waiting.remove(value)
	l.pinned[value] = list
	return list
}

// unpin moves a pinned value to a slot. There can be more slots than the limit until some expire or are displaced.
func (l *limitedLabel[K]) unpin(value K, now time.Time) {
	if list, ok := l.pinned[value]; ok {
		delete(l.pinned, value)
		l.add(&slot[K]{value: value, series: list, movedAt: now})
	}
}

// seriesFor returns the series in which to count an increment for the value. They are valid until the next call.
func (l *limitedLabel[K]) seriesFor(value K, now time.Time) []*series {
	l.cardinality.add(value)
	if list, ok := l.pinned[value]; ok {
		return list
	}
	overflow := l.overflowOf(value)
	if value == overflow {
		return l.pin(value, now)
	}
	l.age(now)
	p, has := l.slots[value]
	if has && p.isOver(now) {
		l.remove(p)
		has = false
	}
	switch {
	case has && p.goneAt.IsZero():
		p.seen++
		p.movedAt = now
		l.live.MoveToBack(p.inList)
		return p.series
	case !has && l.live.Len() < l.limit.slots:
		l.waiting.remove(value)
		return l.fill(value, 1, now)
	}
	if seen := l.waiting.see(value); !has && l.displace(seen, now) {
		l.waiting.remove(value)
		return l.fill(value, seen, now)
	}
	l.limited.add(1)
	return l.pin(overflow, now)
}

func (l *limitedLabel[K]) overflowOf(value K) K {
	if l.group == nil {
		return l.overflow
	}
	return l.group(value)
}

// shown returns the series in which an increment for the value would be counted, without counting one; nil if there are
// none yet.
func (l *limitedLabel[K]) shown(value K) []*series {
	if list, ok := l.pinned[value]; ok {
		return list
	}
	if p, ok := l.slots[value]; ok && p.goneAt.IsZero() {
		return p.series
	}
	return l.pinned[l.overflowOf(value)]
}

func (l *limitedLabel[K]) fill(value K, seen uint32, now time.Time) []*series {
	p := &slot[K]{value: value, series: l.open(value, now), seen: seen, movedAt: now}
	l.add(p)
	return p.series
}

func (l *limitedLabel[K]) add(p *slot[K]) {
	l.slots[p.value] = p
	p.inList = l.live.PushBack(p)
	l.threshold = 0
}

// displace freezes the live slot with the lowest count, if that is sufficiently lower than seen. There are never more
// frozen slots than the limit.
func (l *limitedLabel[K]) displace(seen uint32, now time.Time) bool {
	enough := func(least uint32) bool { return seen >= least+least/2+leastEvidence }
	if l.frozen.Len() >= l.limit.slots || !enough(l.threshold) {
		return false
	}
	// Among equals, the first one was idle for longest.
	var weakest *slot[K]
	for e := l.live.Front(); e != nil; e = e.Next() {
		if p := e.Value.(*slot[K]); weakest == nil || p.seen < weakest.seen {
			weakest = p
		}
	}
	if !enough(weakest.seen) {
		l.threshold = weakest.seen
		return false
	}
	weakest.goneAt = now.Add(l.grace)
	l.live.Remove(weakest.inList)
	weakest.inList = l.frozen.PushBack(weakest)
	return true
}

// age halves the counts every grace period, so that old values count less.
func (l *limitedLabel[K]) age(now time.Time) {
	for steps := 0; now.Sub(l.halvedAt) >= l.grace; steps++ {
		if steps == 32 { // everything is 0
			l.halvedAt = now
			return
		}
		l.halvedAt = l.halvedAt.Add(l.grace)
		l.threshold = 0
		l.waiting.halve()
		for _, p := range l.slots {
			p.seen /= 2
		}
	}
}

func (p *slot[K]) isOver(now time.Time) bool { return !p.goneAt.IsZero() && !now.Before(p.goneAt) }

// sweepSlots is the number of slots that a step of a sweep removes at most.
const sweepSlots = 100

// sweep removes slots that are over, at most sweepSlots of them, and updates the exposed cardinality. It reports
// whether there may be more to remove.
func (l *limitedLabel[K]) sweep(now time.Time) (more bool) {
	if n, changed := l.cardinality.estimate(); changed {
		l.count.set(n)
	}
	for range sweepSlots {
		if !l.sweepFirst(l.frozen, now) && !l.sweepFirst(l.live, now) {
			return false
		}
	}
	return true
}

// sweepFirst removes the first slot of a list if it is over.
func (l *limitedLabel[K]) sweepFirst(of *list.List, now time.Time) bool {
	first := of.Front()
	if first == nil {
		return false
	}
	p := first.Value.(*slot[K])
	if !p.isOver(now) && (!p.goneAt.IsZero() || now.Sub(p.movedAt) < l.expiry) {
		return false
	}
	l.remove(p)
	return true
}

func (l *limitedLabel[K]) remove(p *slot[K]) {
	l.leave(p)
	dropAll(p.series)
}

// leave removes a slot, and keeps its series.
func (l *limitedLabel[K]) leave(p *slot[K]) {
	delete(l.slots, p.value)
	if p.goneAt.IsZero() {
		l.live.Remove(p.inList)
	} else {
		l.frozen.Remove(p.inList)
	}
}

// drop removes everything.
func (l *limitedLabel[K]) drop() {
	for _, p := range l.slots {
		dropAll(p.series)
	}
	for _, list := range l.pinned {
		dropAll(list)
	}
}
