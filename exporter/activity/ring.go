package activity

import "time"

const (
	// step is the length of a step of a ring, steps is their number: 15 minutes.
	step  = 15 * time.Second
	steps = 60
	// averaged is over how many whole steps the current rates are averaged: a minute.
	averaged = 4
)

// ring has the numbers of the last steps, and of the current one.
type ring struct {
	current int64 // number of the current step, since the epoch of Unix; 0 before the first use
	steps   [steps + 1]counts
}

// counts are the numbers of one step.
type counts struct {
	connections, rejects uint32
	open                 int // at its end
	bytes                uint64
}

// at returns the numbers of the step at a time, which become the current ones. A clock that is set back changes nothing.
func (r *ring) at(now time.Time) *counts {
	number := now.UnixNano() / int64(step)
	if number <= r.current {
		return r.slot(r.current)
	}
	if r.current == 0 {
		r.current = number
	}
	for range min(max(0, number-r.current), steps+1) {
		open := r.slot(r.current).open
		r.current++
		*r.slot(r.current) = counts{open: open}
	}
	r.current = max(r.current, number)
	return r.slot(r.current)
}

func (r *ring) slot(number int64) *counts { return &r.steps[number%(steps+1)] }

// Rates are numbers per second, now and over the last 15 minutes.
type Rates struct {
	// Connections, Bytes and Rejects are averages over the last minute.
	Connections, Bytes, Rejects float64
	Open                        int
	// End is the end of the last step of Series, which are the oldest first. Step is the length of one.
	End    time.Time
	Step   time.Duration
	Series struct{ Connections, Bytes, Rejects, Open []float64 }
}

// rates is called after at.
func (r *ring) rates(now, began time.Time) (rates Rates) {
	rates.Step, rates.Open = step, r.slot(r.current).open
	rates.End = time.Unix(0, r.current*int64(step)).UTC()
	seconds := step.Seconds()
	for number := r.current - steps; number < r.current; number++ {
		c := r.slot(number)
		s := &rates.Series
		s.Connections = append(s.Connections, float64(c.connections)/seconds)
		s.Bytes = append(s.Bytes, float64(c.bytes)/seconds)
		s.Rejects = append(s.Rejects, float64(c.rejects)/seconds)
		s.Open = append(s.Open, float64(c.open))
	}
	var sum counts
	for number := r.current - averaged; number <= r.current; number++ {
		c := r.slot(number)
		sum.connections, sum.rejects, sum.bytes = sum.connections+c.connections, sum.rejects+c.rejects, sum.bytes+c.bytes
	}
	passed := min(max(now.Sub(began), time.Second), now.Sub(rates.End)+averaged*step).Seconds()
	if passed <= 0 { // the clock was set back
		passed = averaged * seconds
	}
	rates.Connections, rates.Bytes, rates.Rejects = float64(sum.connections)/passed, float64(sum.bytes)/passed, float64(sum.rejects)/passed
	return rates
}
