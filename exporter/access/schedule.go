package access

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // Containers often have no time zones of their own.

	"smithproxy_exporter/exporter/setting"
)

// Day is a day of the week: mon, tue, wed, thu, fri, sat, sun.
type Day time.Weekday

var days = map[string]time.Weekday{
	"mon": time.Monday, "tue": time.Tuesday, "wed": time.Wednesday, "thu": time.Thursday,
	"fri": time.Friday, "sat": time.Saturday, "sun": time.Sunday,
}

// UnmarshalText parses the name of a day.
func (d *Day) UnmarshalText(text []byte) error {
	day, ok := days[string(text)]
	if !ok {
		return fmt.Errorf("%q is not one of mon, tue, wed, thu, fri, sat, sun", text)
	}
	*d = Day(day)
	return nil
}

func dayName(d time.Weekday) string { return strings.ToLower(d.String()[:3]) }

// TimeOfDay is a time of day by the local clock, in minutes since midnight. 24:00 is midnight, too.
type TimeOfDay int

const minutesOfDay = 24 * 60

// UnmarshalText parses hh:mm.
func (t *TimeOfDay) UnmarshalText(text []byte) error {
	hour, minute, ok := strings.Cut(string(text), ":")
	h, err1 := strconv.ParseUint(hour, 10, 8)
	m, err2 := strconv.ParseUint(minute, 10, 8)
	if !ok || err1 != nil || err2 != nil || len(minute) != 2 || m > 59 || h*60+m > minutesOfDay {
		return fmt.Errorf("%q is not a time of day such as 22:00", text)
	}
	*t = TimeOfDay(h*60+m) % minutesOfDay
	return nil
}

func (t TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", t/60, t%60) }

func (s *Schedule) validate() error {
	switch {
	case empty(s.Days):
		return setting.Invalid("days", errEmpty)
	case s.Days == nil && s.From == 0 && s.To == 0:
		return setting.Invalid("days", errors.New("needs days, from or to: without them a schedule is always active"))
	case s.From == s.To && s.From != 0:
		return setting.Invalid("to", fmt.Errorf("%v is the same as from", s.To))
	}
	_, err := time.LoadLocation(s.Timezone)
	return setting.Invalid("timezone", err)
}

// window is a Schedule for one time zone.
type window struct {
	// days are the weekdays on which it begins, as bits.
	days     uint8
	from, to TimeOfDay
}

func (s *Schedule) window() window {
	w := window{from: s.From, to: s.To}
	for _, d := range s.Days {
		w.days |= 1 << d
	}
	if s.Days == nil {
		w.days = 1<<7 - 1
	}
	return w
}

// contains reports whether the minute is in the window. A window across midnight belongs to the day on which it begins.
func (w window) contains(m wallMinute) bool {
	today := w.days>>m.day&1 == 1
	if w.from < w.to {
		return today && w.from <= m.time && m.time < w.to
	}
	yesterday := w.days>>((m.day+6)%7)&1 == 1
	return today && w.from <= m.time || yesterday && m.time < w.to
}

// wallMinute is a minute of the local clock.
type wallMinute struct {
	day  time.Weekday
	time TimeOfDay
}

func wallMinuteOf(at time.Time, zone *time.Location) wallMinute {
	at = at.In(zone)
	return wallMinute{at.Weekday(), TimeOfDay(at.Hour()*60 + at.Minute())}
}

// timetable is a compiled Schedule: the field schedule.
type timetable struct {
	Schedule
	window
	zone *time.Location
}

// zones are the time zones of a Set by name. Schedules of the same zone share a *time.Location, so that the time of a
// request is converted once.
type zones map[string]*time.Location

// compile returns the timetable of a valid schedule.
func (s *Schedule) compile(z zones) *timetable {
	zone, ok := z[s.Timezone]
	if !ok {
		var err error
		if zone, err = time.LoadLocation(s.Timezone); err != nil {
			panic(err) // Validate loaded it.
		}
		z[s.Timezone] = zone
	}
	return &timetable{Schedule: *s, window: s.window(), zone: zone}
}

func (t *timetable) matches(s *subject) bool {
	if s.zone != t.zone {
		s.zone, s.wall = t.zone, wallMinuteOf(s.at, t.zone)
	}
	return t.contains(s.wall)
}

func (t *timetable) why(s *subject) string {
	at := s.at.In(t.zone)
	return fmt.Sprintf("%s is not in %v", dayName(at.Weekday())+at.Format(" 15:04 MST"), t)
}

func (t *timetable) String() string {
	var b strings.Builder
	for i, d := range t.Days {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(dayName(time.Weekday(d)))
	}
	if t.Days != nil {
		b.WriteByte(' ')
	}
	fmt.Fprintf(&b, "%v to %v %v", t.From, t.To, t.zone)
	return b.String()
}
