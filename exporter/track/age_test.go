package track

import (
	"slices"
	"testing"
	"time"
)

func TestOpenConnectionsAreReportedAtDoublingAges(t *testing.T) {
	w := newWorld(t)
	w.ping("Proxy-A1")
	w.start(idA)
	w.pass(time.Minute)
	w.start("Proxy-A1-OID-2")
	w.pass(2 * time.Minute)
	w.stop("Proxy-A1-OID-2")
	for w.now < time.Hour {
		w.ping("Proxy-A1", idA)
		w.pass(250 * time.Millisecond)
	}
	var ages []time.Duration
	for _, f := range w.facts {
		if f, ok := f.(StillOpen); ok {
			if f.C.ID != idA {
				t.Errorf("%s is over, and reported as open", f.C.ID)
			}
			ages = append(ages, f.At.Sub(epoch))
		}
	}
	want := []time.Duration{5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute}
	if !slices.Equal(ages, want) {
		t.Errorf("reported at the ages %v, want %v", ages, want)
	}
}

// TestAgesAfterAGap reports the last age that passed, not each of them.
func TestAgesAfterAGap(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Connections.IdleTimeout = 0 })
	w.start(idA)
	w.pass(time.Hour)
	var shown []StillOpen
	for _, f := range w.facts {
		if f, ok := f.(StillOpen); ok {
			shown = append(shown, f)
		}
	}
	if len(shown) != 1 || !shown[0].At.Equal(epoch.Add(40*time.Minute)) {
		t.Errorf("reported %v, want once, at 40 minutes", shown)
	}
}

func TestNoOpenAge(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.Connections.OpenSpanAge = 0 })
	w.start(idA)
	w.pass(24 * time.Hour)
	if count[StillOpen](w.recorder) != 0 {
		t.Error("reported, though no age is set")
	}
}
