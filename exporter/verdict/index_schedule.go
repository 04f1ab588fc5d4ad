package verdict

import (
	"slices"
	"sync/atomic"
	"time"
)

// scheduleIndex is the index of the schedules. Those that are open are the same for a whole minute, so they
// are looked for once a minute.
type scheduleIndex struct {
	without members
	zones   []zone
	now     atomic.Pointer[minute]
}

// zone is the schedules of one time zone.
type zone struct {
	location *time.Location
	windows  []window
	rules    []uint32 // of each window
}

// minute is a minute and the rules whose schedules are open in it.
type minute struct {
	unix  int64 // minutes since 1970
	rules *subset
}

func newScheduleIndex(rules []rule) *scheduleIndex {
	ix := &scheduleIndex{}
	var with []uint32
	ix.without, with = split(rules, func(r *rule) bool { return r.schedule != nil })
	zones := map[string]int{}
	for _, i := range with {
		s := rules[i].schedule
		at, ok := zones[s.zone.String()]
		if !ok {
			at = len(ix.zones)
			zones[s.zone.String()] = at
			ix.zones = append(ix.zones, zone{location: s.zone})
		}
		z := &ix.zones[at]
		z.windows, z.rules = append(z.windows, s.window), append(z.rules, i)
	}
	return ix
}

func (ix *scheduleIndex) find(at time.Time) *subset {
	unix := at.Unix() / 60
	if m := ix.now.Load(); m != nil && m.unix == unix {
		return m.rules
	}
	var open []uint32
	for _, z := range ix.zones {
		wall := wallMinuteOf(at, z.location)
		for i, w := range z.windows {
			if w.contains(wall) {
				open = append(open, z.rules[i])
			}
		}
	}
	slices.Sort(open)
	m := &minute{unix, newSubset(open, ix.without)}
	ix.now.Store(m)
	return m.rules
}
