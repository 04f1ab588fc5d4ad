package api_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"smithproxy_exporter/exporter/activity"
	"smithproxy_exporter/exporter/track"
)

// manyOpen returns a tracker with so many open connections of four proxies, in no order of memory.
func manyOpen(open int, emit func(track.Fact)) *track.Tracker {
	config := track.DefaultConfig()
	config.Connections.MaxOpen, config.Connections.MaxOpenTotal = open, 2*open
	tr := track.New(config, emit)
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(open) {
		tr.Apply(numbered(i), at(0), nil)
	}
	tr.Changes(nowhere{})
	return tr
}

// nowhere is a store that keeps nothing.
type nowhere struct{}

func (nowhere) Put(track.Kind, string, string, []byte)              {}
func (nowhere) Remove(track.Kind, string, string)                   {}
func (nowhere) RemoveSource(string)                                 {}
func (nowhere) PutTombstone(_, _ string, _ []byte, _ time.Duration) {}

// timed is a Querier that measures its looks.
type timed struct {
	tracker        *track.Tracker
	looks          int
	spent, longest time.Duration
}

func (s *timed) Query(_ context.Context, look func(*track.Tracker)) error {
	begin := time.Now()
	look(s.tracker)
	took := time.Since(begin)
	s.looks++
	s.spent += took
	s.longest = max(s.longest, took)
	return nil
}

// BenchmarkList pages through 200,000 open connections and reports what the pipeline has to give for it.
func BenchmarkList(b *testing.B) {
	tr := manyOpen(200_000, func(track.Fact) {})
	for _, query := range []string{
		"limit=1000", "limit=100", "limit=1000&client=10.0.0.0/8", "client=192.0.2.0/24", "server=www.example.com",
		"state=closing", "app=http1",
	} {
		b.Run(query, func(b *testing.B) {
			s := &timed{tracker: tr}
			h := handler(newAPI(s, newMemory(), activity.New(time.Now)))
			cursor, calls := "", 0
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/connections?"+query+"&cursor="+cursor, nil))
				b.StopTimer()
				var l listed
				decode(b, w, http.StatusOK, &l)
				cursor = l.NextCursor
				calls++
				b.StartTimer()
			}
			b.ReportMetric(float64(s.spent.Microseconds())/float64(calls), "µs-pipeline/call")
			b.ReportMetric(float64(s.spent.Microseconds())/float64(s.looks), "µs/look")
			b.ReportMetric(float64(s.longest.Microseconds()), "µs-longest")
		})
	}
}
