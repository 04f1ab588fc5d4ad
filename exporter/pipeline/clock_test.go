package pipeline

import (
	"testing"
	"time"
)

// TestClock: the running time follows the monotonic clock alone, goes on where the run before ended, and leaves out
// what the process did not run.
func TestClock(t *testing.T) {
	wall := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	mono := 5 * time.Hour
	c := newClock(func(time.Time) time.Duration { return mono }, wall)
	c.resume(10 * time.Hour)
	step := func(passed, set time.Duration, wantMono time.Duration) {
		t.Helper()
		mono += passed
		wall = wall.Add(passed + set)
		c.check(wall)
		at := c.instant(wall)
		if at.Mono != wantMono || !at.Time().Equal(wall) {
			t.Errorf("it is %v and %v, want %v and %v", at.Mono, at.Time(), wantMono, wall)
		}
	}
	step(0, 0, 10*time.Hour)
	step(time.Second, 0, 10*time.Hour+time.Second)
	step(time.Second, -5*time.Hour, 10*time.Hour+2*time.Second) // the wall clock is set back
	step(time.Second, 9*time.Hour, 10*time.Hour+3*time.Second)  // and forward
	mono += 2 * time.Hour                                       // the process is stopped
	if missed := c.check(wall); missed != 2*time.Hour {
		t.Errorf("missed %v", missed)
	}
	step(time.Second, 0, 10*time.Hour+4*time.Second)
	mono -= time.Minute // no monotonic clock does that
	if at := c.instant(wall); at.Mono < 10*time.Hour {
		t.Errorf("it went back to %v", at.Mono)
	}
}
