package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// streamed is a response of server-sent events that a test reads.
type streamed struct {
	http.ResponseWriter
	mu   sync.Mutex
	text strings.Builder
	// blocked is not nil for a client that does not read until it is closed.
	blocked chan struct{}
}

func newStreamed() *streamed { return &streamed{ResponseWriter: httptest.NewRecorder()} }

func (s *streamed) Write(p []byte) (int, error) {
	s.mu.Lock()
	blocked := s.blocked
	s.text.Write(p)
	s.mu.Unlock()
	if blocked != nil {
		<-blocked
	}
	return len(p), nil
}

// events returns the events so far, as kinds and ids.
func (s *streamed) events(t *testing.T) string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	kind := ""
	for lines := bufio.NewScanner(strings.NewReader(s.text.String())); lines.Scan(); {
		if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
			kind = name
		}
		if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			var got struct {
				ID     string
				Missed int
			}
			if err := json.Unmarshal([]byte(data), &got); err != nil {
				t.Fatalf("%s: %v", data, err)
			}
			if kind == "missed" {
				got.ID = fmt.Sprint(got.Missed)
			}
			all = append(all, kind+":"+got.ID)
		}
	}
	return strings.Join(all, " ")
}

// follow begins a stream. It ends with the bubble's context.
func (f *fixture) follow(ctx context.Context, query string, s *streamed) {
	r := httptest.NewRequest(http.MethodGet, "/api/v1/stream?"+query, nil).WithContext(ctx)
	go f.handler.ServeHTTP(s, r)
	synctest.Wait()
}

// inBubble runs a test with the stream of a fixture running. pass lets time pass.
func inBubble(t *testing.T, test func(t *testing.T, f *fixture, ctx context.Context, pass func(time.Duration))) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f := newFixture(t)
		go f.api.Run(ctx)
		test(t, f, ctx, func(d time.Duration) {
			time.Sleep(d)
			synctest.Wait()
		})
		cancel()
		synctest.Wait()
	})
}

func TestStream(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture, ctx context.Context, pass func(time.Duration)) {
		all, some := newStreamed(), newStreamed()
		f.follow(ctx, "", all)
		f.follow(ctx, "q=app:http2", some)
		send := func(id string, payload any) {
			f.apply(event.Event{Source: "proxy-a", ID: id, Payload: payload}, at(time.Minute))
		}
		send("s1", event.Start{Session: session("201")})
		pass(time.Second)
		if got := all.events(t); got != "new:s1" {
			t.Errorf("after the start: %s", got)
		}
		send("s1", event.Stop{Session: session("201"), App: "http2"})
		pass(time.Second)
		send("s1", event.Info{})
		pass(time.Second)
		// Several changes within an interval are one.
		send("s2", event.Start{Session: session("202")})
		send("s2", event.Stop{Session: session("202")})
		send("s2", event.Info{})
		pass(time.Second)
		if got := all.events(t); got != "new:s1 changed:s1 finished:s1 finished:s2" {
			t.Errorf("all: %s", got)
		}
		if got := some.events(t); got != "changed:s1 finished:s1" {
			t.Errorf("those that match: %s", got)
		}
		pass(time.Minute)
		if !strings.Contains(all.text.String(), "\n: alive\n") {
			t.Error("a silent stream sends nothing")
		}
	})
}

// A slow client delays nobody, and is told what it missed.
func TestStreamOfSlowClient(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture, ctx context.Context, pass func(time.Duration)) {
		slow, quick := newStreamed(), newStreamed()
		f.follow(ctx, "", slow)
		f.follow(ctx, "", quick)
		slow.mu.Lock()
		slow.blocked = make(chan struct{})
		slow.mu.Unlock()
		for i := range 30 {
			f.apply(event.Event{Source: "proxy-a", ID: fmt.Sprint("n", i), Payload: event.Start{Session: session(fmt.Sprint(300 + i))}}, at(time.Minute))
			pass(time.Second)
		}
		if got := strings.Fields(quick.events(t)); len(got) != 30 {
			t.Errorf("the quick client got %d events", len(got))
		}
		slow.mu.Lock()
		close(slow.blocked)
		slow.blocked = nil
		slow.mu.Unlock()
		synctest.Wait()
		f.apply(event.Event{Source: "proxy-a", ID: "last", Payload: event.Start{Session: session("400")}}, at(time.Minute))
		pass(time.Second)
		got := strings.Fields(slow.events(t))
		// One that was being written, 8 that were queued, the last one, and how many are between them.
		if len(got) != 11 || got[9] != "new:last" || got[10] != "missed:21" {
			t.Errorf("the slow client got %v", got)
		}
	})
}

func TestStreamInAFlood(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture, ctx context.Context, pass func(time.Duration)) {
		s := newStreamed()
		f.follow(ctx, "", s)
		for i := range 3000 {
			f.apply(event.Event{Source: "proxy-a", ID: fmt.Sprint("n", i), Payload: event.Start{Session: session(fmt.Sprint(1000 + i))}}, at(time.Minute))
		}
		pass(time.Second)
		got := strings.Fields(s.events(t))
		if len(got) != 201 || got[200] != "missed:2800" {
			t.Errorf("got %d events, the last is %s", len(got), got[len(got)-1])
		}
	})
}

func TestStreamsAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, f *fixture, ctx context.Context, _ func(time.Duration)) {
		ending, end := context.WithCancel(ctx)
		f.follow(ending, "", newStreamed())
		for range 31 {
			f.follow(ctx, "", newStreamed())
		}
		if w := f.get(t, "/api/v1/stream"); w.Code != http.StatusServiceUnavailable {
			t.Errorf("one more is answered with %d", w.Code)
		}
		end()
		synctest.Wait()
		s := newStreamed()
		f.follow(ctx, "", s)
		if !strings.HasPrefix(s.text.String(), "retry: ") {
			t.Error("after one has ended there is no place")
		}
	})
}

func TestStreamRefuses(t *testing.T) {
	f := newFixture(t)
	for _, query := range []string{"q=foo:1", "limit=1", "cursor=bAE", "format=csv", "x=1"} {
		if w := f.get(t, "/api/v1/stream?"+query); w.Code != http.StatusBadRequest {
			t.Errorf("%s: answered %d", query, w.Code)
		}
	}
}

// Without clients, a fact costs nothing.
func TestSinkWithoutClients(t *testing.T) {
	f := newFixture(t)
	fact := track.Fact(track.Started{C: &track.Connection{}})
	sink := f.api.Sink()
	if n := testing.AllocsPerRun(100, func() { sink.Take(fact) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
