package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"smithproxy_exporter/exporter/activity"
	"smithproxy_exporter/exporter/track"
)

// loading is a Querier whose state is not there yet.
type loading struct{}

func (loading) Query(ctx context.Context, _ func(*track.Tracker)) error {
	<-ctx.Done()
	return ctx.Err()
}

// counting is a Querier that counts how many calls are at it, and keeps each for a second.
type counting struct {
	*state
	mu        sync.Mutex
	now, most int
}

func (c *counting) Query(ctx context.Context, look func(*track.Tracker)) error {
	c.count(1)
	time.Sleep(time.Second) // of the bubble's clock
	c.count(-1)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state.Query(ctx, look)
}

func (c *counting) count(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += n
	c.most = max(c.most, c.now)
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/v1/connections"+path, nil))
	return w
}

func TestStateIsBeingLoaded(t *testing.T) {
	for _, path := range []string{"", "/proxy-a/a1"} {
		t.Run(path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := handler(newAPI(loading{}, newMemory(), activity.New(time.Now)))
				begin := time.Now()
				var problem struct{ Error string }
				w := get(h, path)
				decode(t, w, http.StatusServiceUnavailable, &problem)
				if !strings.Contains(problem.Error, "being loaded") || w.Header().Get("Retry-After") == "" {
					t.Errorf("answered %v %s", w.Header(), w.Body)
				}
				if took := time.Since(begin); took > 10*time.Second {
					t.Errorf("answered after %v", took)
				}
			})
		})
	}
}

// Four calls are worked on at once. Of more, those that wait for too long are sent away.
func TestCallsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &counting{state: newFixture(t).state}
		h := handler(newAPI(s, newMemory(), activity.New(time.Now)))
		codes := make(chan int, 30)
		for range cap(codes) {
			go func() { codes <- get(h, "/proxy-a/a1").Code }()
		}
		answered := map[int]int{}
		for range cap(codes) {
			answered[<-codes]++
		}
		if s.most != 4 {
			t.Errorf("%d calls were worked on at once", s.most)
		}
		// Four a second, for as long as the others wait.
		if ok, busy := answered[http.StatusOK], answered[http.StatusServiceUnavailable]; ok < 20 || ok > 24 || ok+busy != 30 {
			t.Errorf("answered %v", answered)
		}
	})
}

// stuck is the connection of a client that does not read.
type stuck struct {
	header  http.Header
	writing chan<- struct{}
	read    <-chan struct{}
}

func (s stuck) Header() http.Header { return s.header }
func (s stuck) WriteHeader(int)     {}
func (s stuck) Write(p []byte) (int, error) {
	s.writing <- struct{}{}
	<-s.read
	return len(p), nil
}

func TestSlowClientsHoldNothing(t *testing.T) {
	f := newFixture(t)
	writing, read := make(chan struct{}), make(chan struct{})
	defer close(read)
	for range 20 {
		go f.handler.ServeHTTP(stuck{http.Header{}, writing, read}, httptest.NewRequest(http.MethodGet, "/api/v1/connections", nil))
		<-writing
	}
	if w := f.get(t, "/api/v1/connections"); w.Code != http.StatusOK {
		t.Errorf("answered %d %s", w.Code, w.Body)
	}
}
