package access

import (
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	weekend := []Day{Day(time.Saturday), Day(time.Sunday)}
	night := Schedule{Days: weekend, From: 22 * 60, To: 6 * 60, Timezone: "Europe/Prague"}
	tests := []struct {
		name     string
		schedule Schedule
		at       string
		want     bool
	}{
		{"before it begins", night, "2026-11-07T21:59:59+01:00", false},
		{"when it begins", night, "2026-11-07T22:00:00+01:00", true},
		{"after midnight", night, "2026-11-08T05:59:59+01:00", true},
		{"when it ends", night, "2026-11-08T06:00:00+01:00", false},
		{"into a day that is not one of its own", night, "2026-11-09T05:00:00+01:00", true},
		{"the night before its first day", night, "2026-11-07T05:00:00+01:00", false},
		{"in another time zone", night, "2026-11-07T21:30:00Z", true},
		{"in summer", night, "2026-07-04T20:00:00Z", true},
		{"in summer, an hour early", night, "2026-07-04T19:59:59Z", false},
		{"days alone", Schedule{Days: weekend}, "2026-11-08T23:59:59Z", true},
		{"days alone, on another", Schedule{Days: weekend}, "2026-11-09T00:00:00Z", false},
		{"every day", Schedule{From: 8 * 60, To: 17 * 60}, "2026-11-09T08:00:00Z", true},
		{"every day, after", Schedule{From: 8 * 60, To: 17 * 60}, "2026-11-09T17:00:00Z", false},
		{"until midnight", Schedule{From: 8 * 60}, "2026-11-09T23:59:00Z", true},
		{"until midnight, before", Schedule{From: 8 * 60}, "2026-11-09T07:59:00Z", false},
		{"from midnight", Schedule{To: 8 * 60}, "2026-11-09T00:00:00Z", true},
		{"the hour that there is twice", Schedule{From: 2 * 60, To: 3 * 60, Timezone: "Europe/Prague"}, "2026-10-25T01:30:00Z", true},
		{"the hour that there is not", Schedule{From: 2 * 60, To: 3 * 60, Timezone: "Europe/Prague"}, "2026-03-29T01:00:00Z", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at, err := time.Parse(time.RFC3339, tt.at)
			if err != nil {
				t.Fatal(err)
			}
			if err := tt.schedule.validate(); err != nil {
				t.Fatal(err)
			}
			if got := tt.schedule.compile(zones{}).matches(&subject{at: at}); got != tt.want {
				t.Errorf("matches(%v) is %v", at, got)
			}
		})
	}
}

func TestDaysAndTimesOfDayAreRead(t *testing.T) {
	for text, want := range map[string]time.Weekday{"mon": time.Monday, "sun": time.Sunday} {
		var d Day
		if err := d.UnmarshalText([]byte(text)); err != nil || d != Day(want) {
			t.Errorf("%s is %v, %v", text, d, err)
		}
	}
	for text, want := range map[string]TimeOfDay{"00:00": 0, "9:05": 9*60 + 5, "22:59": 22*60 + 59, "24:00": 0} {
		var at TimeOfDay
		if err := at.UnmarshalText([]byte(text)); err != nil || at != want {
			t.Errorf("%s is %v, %v", text, at, err)
		}
	}
	for _, text := range []string{"", "monday", "Mon"} {
		if err := new(Day).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for a day", text)
		}
	}
	for _, text := range []string{"", "9", ":00", "9:", "9:5", "9:005", "9:60", "24:01", "25:00", "-1:00", "9h:00"} {
		if err := new(TimeOfDay).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken for a time of day", text)
		}
	}
}
