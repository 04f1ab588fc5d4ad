package webhook

import (
	"strconv"
	"testing"
	"time"
)

func TestRate(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	r := newRate[string](10, now)
	count := func(key string, n int) (allowed int) {
		for range n {
			if r.allow(key, now) {
				allowed++
			}
		}
		return allowed
	}
	if got := count("a", 100); got != 20 {
		t.Errorf("%d at once, want two seconds' worth", got)
	}
	if got := count("b", 5); got != 5 {
		t.Errorf("%d of another key, want 5", got)
	}
	now = now.Add(500 * time.Millisecond)
	if got := count("a", 100); got != 5 {
		t.Errorf("%d after half a second, want 5", got)
	}
	now = now.Add(time.Hour)
	if got := count("a", 100); got != 20 {
		t.Errorf("%d after an hour, want two seconds' worth", got)
	}
}

// What an attacker can name is bounded.
func TestRateOfManyKeys(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	r := newRate[string](1, now)
	for i := range 10 * maxRated {
		if !r.allow(strconv.Itoa(i), now) {
			t.Fatalf("key %d is not allowed", i)
		}
		if len(r.keys) > maxRated {
			t.Fatalf("%d keys are kept", len(r.keys))
		}
	}
}

func TestRateAllocatesNothing(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	r := newRate[string](1_000_000, now)
	if n := testing.AllocsPerRun(100, func() { r.allow("edge-1", now) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
