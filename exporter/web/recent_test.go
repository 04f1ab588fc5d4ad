package web_test

import (
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

// ids returns the ids in r, at the most so many.
func ids(r *web.Recent, limit int) string {
	var found []string
	r.Each(func(c *track.Connection) bool {
		found = append(found, c.ID)
		return len(found) < limit
	})
	return strings.Join(found, " ")
}

func TestRecent(t *testing.T) {
	tests := []struct {
		size, finished int
		want           string
	}{
		{3, 0, ""},
		{3, 1, "1"},
		{3, 2, "2 1"},
		{3, 3, "3 2 1"},
		{3, 4, "4 3 2"},
		{3, 5, "5 4 3"},
		{3, 6, "6 5 4"},
		{3, 100, "100 99 98"},
		{1, 1, "1"},
		{1, 7, "7"},
	}
	for _, tt := range tests {
		t.Run(strconv.Itoa(tt.finished)+" of "+strconv.Itoa(tt.size), func(t *testing.T) {
			r := web.NewRecent(tt.size)
			for n := range tt.finished {
				finish(r, n+1)
			}
			if got := ids(r, tt.size+1); got != tt.want {
				t.Errorf("Each() visits %q, want %q", got, tt.want)
			}
		})
	}
}

func TestRecentStopsEarly(t *testing.T) {
	r := web.NewRecent(3)
	for n := range 5 {
		finish(r, n+1)
	}
	if got := ids(r, 2); got != "5 4" {
		t.Errorf("Each() visits %q, want %q", got, "5 4")
	}
}

func TestRecentTakesFinishedOnly(t *testing.T) {
	r := web.NewRecent(3)
	c := &track.Connection{ID: "1"}
	for _, f := range []track.Fact{track.Opened{C: c}, track.Closed{C: c}, track.Late{C: c}, track.Pinged{}} {
		r.Take(f)
	}
	if got := ids(r, 3); got != "" {
		t.Errorf("Each() visits %q", got)
	}
}

// For the race detector.
func TestRecentIsReadWhileItTakes(t *testing.T) {
	r := web.NewRecent(3)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 100 {
				ids(r, 3)
			}
		})
	}
	for n := range 100 {
		finish(r, n)
	}
	wg.Wait()
}
