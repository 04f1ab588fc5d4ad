package web_test

import (
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"

	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/web"
)

func finish(r *web.Recent, n int) {
	r.Take(track.Finished{C: &track.Connection{ID: strconv.Itoa(n)}})
}

// ids returns the ids in r below a number, at most so many.
func ids(r *web.Recent, before uint64, limit int) string {
	var found []string
	r.Each(before, func(number uint64, c *track.Connection) bool {
		if strconv.FormatUint(number, 10) != c.ID {
			found = append(found, "number-"+strconv.FormatUint(number, 10))
		}
		found = append(found, c.ID)
		return len(found) < limit
	})
	return strings.Join(found, " ")
}

func TestRecent(t *testing.T) {
	const all = math.MaxUint64
	tests := []struct {
		size, finished int
		before         uint64
		limit          int
		want           string
	}{
		{3, 0, all, 10, ""},
		{3, 1, all, 10, "1"},
		{3, 2, all, 10, "2 1"},
		{3, 3, all, 10, "3 2 1"},
		{3, 4, all, 10, "4 3 2"},
		{3, 6, all, 10, "6 5 4"},
		{3, 100, all, 10, "100 99 98"},
		{1, 1, all, 10, "1"},
		{1, 7, all, 10, "7"},
		{0, 7, all, 10, ""},
		{3, 5, all, 2, "5 4"},
		{3, 5, 6, 10, "5 4 3"},
		{3, 5, 5, 10, "4 3"},
		{3, 5, 4, 10, "3"},
		{3, 5, 3, 10, ""},
		{3, 5, 1, 10, ""},
		{3, 5, 0, 10, ""},
		{3, 2, 9, 10, "2 1"},
	}
	for _, tt := range tests {
		t.Run(strconv.Itoa(tt.finished)+" of "+strconv.Itoa(tt.size), func(t *testing.T) {
			r := web.NewRecent(tt.size)
			for n := range tt.finished {
				finish(r, n+1)
			}
			if got := ids(r, tt.before, tt.limit); got != tt.want {
				t.Errorf("Each(%d) visits %q, want %q", tt.before, got, tt.want)
			}
		})
	}
}

func TestRecentTakesFinishedOnly(t *testing.T) {
	r := web.NewRecent(3)
	c := &track.Connection{ID: "1"}
	for _, f := range []track.Fact{track.Started{C: c}, track.Ended{C: c}, track.Late{C: c}, track.ProxyAppeared{}} {
		r.Take(f)
	}
	if got := ids(r, math.MaxUint64, 3); got != "" || r.Latest() != 0 {
		t.Errorf("Each() visits %q, latest is %d", got, r.Latest())
	}
}

// A reader that is overtaken sees connections in order, each once, and never waits; also for the race detector.
func TestRecentIsReadWhileItTakes(t *testing.T) {
	r := web.NewRecent(3)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 1000 {
				last := uint64(math.MaxUint64)
				r.Each(last, func(number uint64, c *track.Connection) bool {
					if number >= last || c.ID != strconv.FormatUint(number, 10) {
						t.Errorf("number %d is connection %s, after %d", number, c.ID, last)
					}
					last = number
					return true
				})
			}
		})
	}
	for n := range 1000 {
		finish(r, n+1)
	}
	wg.Wait()
}
