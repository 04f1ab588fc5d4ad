package activity

import (
	"slices"
	"strings"
	"time"
)

// Dimension is what a table of the most frequent values is about.
type Dimension int

// The dimensions.
const (
	Clients Dimension = iota
	Servers
	SNIs
	Apps
	dimensions
)

// Window is the period of a table.
type Window int

// The windows.
const (
	FiveMinutes Window = iota
	Hour
	Day
	windows
)

const (
	// maxRows bounds the values that are counted in a bucket, keptRows those that stay by each order when it is full or
	// closed. The rest is counted in other.
	maxRows, keptRows = 1024, 256
)

// buckets are the lengths and numbers of the buckets of each window. A window moves by one bucket at a time.
var buckets = [windows]struct {
	length time.Duration
	number int
}{{30 * time.Second, 10}, {5 * time.Minute, 12}, {time.Hour, 24}}

// Counts are the numbers of a value.
type Counts struct{ Connections, Up, Down uint64 }

// Bytes returns the bytes in both directions.
func (c Counts) Bytes() uint64 { return c.Up + c.Down }

func (c *Counts) add(o Counts) {
	c.Connections, c.Up, c.Down = c.Connections+o.Connections, c.Up+o.Up, c.Down+o.Down
}

// Row is a value and its numbers.
type Row struct {
	Value string
	Counts
}

// bucket counts the values of a period, as many as maxRows.
type bucket struct {
	from  time.Time
	rows  map[string]*Counts
	other Counts
	total Counts
}

// closed is a bucket that is over. It does not change any more.
type closed struct {
	from  time.Time
	rows  []Row
	other Counts
	total Counts
}

// top counts the values of a dimension. A connection is counted in the bucket of the shortest window only; a bucket that
// is over is added to the current bucket of the next longer one. A value that leaves a full bucket is counted in other, so
// that the rows and other always add up to the total.
type top struct {
	due     time.Time // when the next bucket ends
	current [windows]bucket
	past    [windows][]closed // oldest first
}

// newTop staggers the dimensions, so that their buckets end at different times: ending one takes up to 0.3 ms.
func newTop(now time.Time, d Dimension) (t top) {
	for w := range t.current {
		t.current[w] = bucket{from: now.Add(-time.Duration(d) * buckets[0].length / time.Duration(dimensions)), rows: map[string]*Counts{}}
	}
	return t
}

func (t *top) add(value string, up, down uint64, now time.Time) {
	t.advance(now)
	t.current[0].add(value, Counts{1, up, down})
}

// advance ends the buckets whose time is over.
func (t *top) advance(now time.Time) {
	if now.Before(t.due) {
		return
	}
	defer func() {
		// The buckets of the shortest window end first.
		t.due = t.current[0].from.Add(buckets[0].length)
	}()
	for w := range t.current {
		for {
			passed := now.Sub(t.current[w].from)
			if passed < buckets[w].length {
				break
			}
			if passed >= 2*buckets[w].length*time.Duration(buckets[w].number) { // nothing happened for long
				t.end(w, now)
				t.past[w] = nil
				break
			}
			t.end(w, t.current[w].from.Add(buckets[w].length))
		}
	}
}

// end ends the current bucket of a window, and begins the next one.
func (t *top) end(w int, next time.Time) {
	b := &t.current[w]
	done := b.close()
	t.past[w] = append(t.past[w], done)
	if extra := len(t.past[w]) - buckets[w].number; extra > 0 {
		t.past[w] = slices.Delete(t.past[w], 0, extra)
	}
	if w+1 < int(windows) {
		longer := &t.current[w+1]
		for _, r := range done.rows {
			longer.addRow(r.Value, r.Counts)
		}
		longer.other.add(done.other)
		longer.total.add(done.total)
	}
	b.from, b.other, b.total = next, Counts{}, Counts{}
	clear(b.rows)
}

func (b *bucket) add(value string, c Counts) {
	b.total.add(c)
	if value == "" {
		b.other.add(c)
		return
	}
	b.addRow(value, c)
}

func (b *bucket) addRow(value string, c Counts) {
	counts, ok := b.rows[value]
	if !ok {
		if len(b.rows) >= maxRows {
			b.prune()
		}
		counts = new(Counts)
		// A part of a label must not keep the label.
		b.rows[strings.Clone(value)] = counts
	}
	counts.add(c)
}

// partition puts the rows first that are among the keptRows with the most bytes or with the most connections, and returns
// their number. It takes about 0.1 ms for maxRows.
func partition(rows []Row) (kept int) {
	if len(rows) <= keptRows {
		return len(rows)
	}
	byBytes := newSelection(rows, Counts.Bytes)
	byConnections := newSelection(rows, func(c Counts) uint64 { return c.Connections })
	for i := range rows {
		// Both count what they select.
		large, often := byBytes.selects(rows[i].Counts), byConnections.selects(rows[i].Counts)
		if large || often {
			rows[kept], rows[i] = rows[i], rows[kept]
			kept++
		}
	}
	return kept
}

// selection selects the keptRows rows with the greatest values.
type selection struct {
	value func(Counts) uint64
	// least is the lowest value that is selected; as many rows with it as there is room.
	least uint64
	room  int
}

func newSelection(rows []Row, value func(Counts) uint64) selection {
	values := make([]uint64, len(rows))
	for i := range rows {
		values[i] = value(rows[i].Counts)
	}
	slices.Sort(values)
	s := selection{value: value, least: values[len(values)-keptRows], room: keptRows}
	for i := len(values) - 1; values[i] > s.least; i-- {
		s.room--
	}
	return s
}

func (s *selection) selects(c Counts) bool {
	v := s.value(c)
	if v == s.least && s.room > 0 {
		s.room--
		return true
	}
	return v > s.least
}

func (b *bucket) list() []Row {
	rows := make([]Row, 0, len(b.rows))
	for value, c := range b.rows {
		rows = append(rows, Row{value, *c})
	}
	return rows
}

// prune removes the values with the least traffic.
func (b *bucket) prune() {
	rows := b.list()
	for _, r := range rows[partition(rows):] {
		b.other.add(r.Counts)
		delete(b.rows, r.Value)
	}
}

func (b *bucket) close() closed {
	rows := b.list()
	kept := partition(rows)
	c := closed{from: b.from, rows: slices.Clone(rows[:kept]), other: b.other, total: b.total}
	for _, r := range rows[kept:] {
		c.other.add(r.Counts)
	}
	return c
}

// Top is a table.
type Top struct {
	// From is when its counting began.
	From time.Time
	// Rows are in no order. Other is what they lack of Total: values without a row, and connections without a value.
	Rows         []Row
	Other, Total Counts
}

// Top returns the table of a dimension. It has up to a few thousand rows.
func (a *Activity) Top(d Dimension, w Window) Top {
	now := a.now()
	a.mu.Lock()
	t := &a.tops[d]
	t.advance(now)
	past := slices.Clone(t.past[w])
	// The current buckets of the shorter windows are not in this one yet.
	var current []closed
	for shorter := range w + 1 {
		b := &t.current[shorter]
		current = append(current, closed{b.from, b.list(), b.other, b.total})
	}
	a.mu.Unlock()
	table := Top{From: current[w].from}
	if len(past) > 0 {
		table.From = past[0].from
	}
	if table.From.Before(a.began) {
		table.From = a.began
	}
	sums := map[string]Counts{}
	for _, b := range append(past, current...) {
		for _, r := range b.rows {
			sum := sums[r.Value]
			sum.add(r.Counts)
			sums[r.Value] = sum
		}
		table.Other.add(b.other)
		table.Total.add(b.total)
	}
	for value, c := range sums {
		table.Rows = append(table.Rows, Row{value, c})
	}
	return table
}
