package track

import "time"

// ageGrain is how often the ages of open connections are looked at.
const ageGrain = 5 * time.Second

// maxAges keeps the doubled age, in ns, from an overflow: 20 doublings of 5 minutes are ten years.
const maxAges = 20

// showOpen tells of the connections that passed the open age, or a doubling of it, since the last
// look. When the looks happen depends on nothing but the time, so that a replay finds the same.
func (t *Tracker) showOpen(now time.Time) {
	if t.opts.OpenAge <= 0 || now.Truncate(ageGrain).Equal(t.looked) {
		return
	}
	t.looked = now.Truncate(ageGrain)
	for _, p := range t.byAge {
		for c := range p.conns.all() {
			// The records are in the order in which they were first heard of.
			if now.Sub(c.firstAt) < t.opts.OpenAge {
				break
			}
			t.showAge(c, now)
		}
	}
}

// showAge tells of the latest age that the connection has passed, once.
func (t *Tracker) showAge(c *Connection, now time.Time) {
	if !c.isOpen() {
		return
	}
	passed := -1
	for age := c.ages; age < maxAges && now.Sub(c.firstAt) >= t.opts.OpenAge<<age; age++ {
		passed = age
	}
	if passed < 0 {
		return
	}
	c.ages = passed + 1
	t.emit(StillOpen{C: c, At: c.firstAt.Add(t.opts.OpenAge << passed)})
}

// isOpen reports whether nothing says that the connection is over.
func (c *Connection) isOpen() bool {
	return c.Reason == "" && c.InfoAt.IsZero() && c.goneAt.IsZero() && c.restartedAt.IsZero()
}
