package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/activity"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/history"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/web/api"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// at is the instant so long after epoch.
func at(d time.Duration) track.Instant { return track.At(epoch.Add(d), time.Minute+d) }

// state is a Querier that has its tracker looked at by the caller's goroutine, or fails.
type state struct {
	mu      sync.Mutex // of tracker, which the stream reads in a goroutine of its own
	tracker *track.Tracker
	err     error
	// before is called before each look.
	before func()
}

func (s *state) Query(_ context.Context, look func(*track.Tracker)) error {
	if s.err != nil {
		return s.err
	}
	if s.before != nil {
		s.before()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	look(s.tracker)
	return nil
}

// memory is a History in memory, which is committed like the store's: Take only collects.
type memory struct {
	mu      sync.Mutex
	sink    *history.Sink
	entries []memoryEntry
	err     error
}

type memoryEntry struct {
	source, name string
	data         []byte
}

func newMemory() *memory { return &memory{sink: history.NewSink(nil)} }

func (m *memory) commit() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sink.Entries(func(source, name string, entry []byte) {
		m.entries = append(m.entries, memoryEntry{source, name, bytes.Clone(entry)})
	})
}

func (m *memory) History(before uint64, visit func(number uint64, stored time.Time, entry []byte) (more bool)) error {
	m.mu.Lock()
	entries := m.entries
	m.mu.Unlock()
	for i := len(entries) - 1; i >= 0; i-- {
		if number := uint64(i + 1); number < before && !visit(number, epoch.Add(time.Hour), entries[i].data) {
			break
		}
	}
	return m.err
}

func (m *memory) HistoryOf(source, name string, visit func(entry []byte)) error {
	return errors.Join(m.err, m.History(1<<62, func(_ uint64, _ time.Time, entry []byte) bool {
		visit(entry)
		return true
	}))
}

// fixture is an API over three open connections (a1 and a2 of proxy-a, b1 of proxy-b), one that is
// closing (a3), and two that are finished (a4, then b2).
type fixture struct {
	state   *state
	history *memory
	api     *api.API
	handler http.Handler
	sinks   []track.Sink
}

// apply applies an event, and commits.
func (f *fixture) apply(ev event.Event, at track.Instant) {
	f.state.mu.Lock()
	defer f.state.mu.Unlock()
	f.state.tracker.Apply(ev, at, nil)
	f.state.tracker.Flush()
	f.history.commit()
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{history: newMemory()}
	f.state = &state{tracker: track.New(track.DefaultConfig(), func(fact track.Fact) {
		f.history.sink.Take(fact)
		for _, s := range f.sinks {
			s.Take(fact)
		}
	})}
	act := activity.New(func() time.Time { return epoch })
	f.api = newAPI(f.state, f.history, act)
	f.sinks = []track.Sink{act, f.api.Sink()}
	f.handler = handler(f.api)
	stop := event.Stop{
		Session: session("7"), Policy: ptr(2), BytesUp: 91, BytesDown: 122, TLS: true, SNI: "www.example.com",
		App: "http1", Details: []string{"https://www.example.com/"}, Signatures: []string{"www/http/request"},
		JA4Client: "t13d1516h2", JA4Server: "t130200", JA4HTTP: []string{"ge11nn", "ge11cn"},
	}
	info := event.Info{
		Statistics: &event.Statistics{
			Session: session("7"), Up: &event.Entropy{Bits: 5.25, Sampled: 91}, Skew: ptr(0.5),
		},
		Sinkhole: &event.Sinkhole{Right: true, SunkenRight: 122, ReplacementSize: 7},
	}
	for i, ev := range []event.Event{
		{Source: "proxy-a", ID: "a1", Payload: event.Start{Session: session("1")}},
		{Source: "proxy-b", ID: "b1", Payload: event.Start{Session: "tcp_10.77.1.2:2+0:0"}},
		{Source: "proxy-a", ID: "a2", Payload: event.Start{Session: session("3")}},
		{Source: "proxy-a", ID: "a3", Payload: event.Start{Session: session("4")}},
		{Source: "proxy-a", ID: "a3", Payload: event.Stop{Session: session("4")}},
		{Source: "proxy-a", ID: "a4", Payload: event.Start{Session: session("7")}},
		{Source: "proxy-a", ID: "a4", Payload: stop},
		{Source: "proxy-a", ID: "a4", Payload: info},
		{Source: "proxy-b", ID: "b2", Payload: event.Start{Session: session("8")}},
		{Source: "proxy-b", ID: "b2", Payload: event.Stop{Session: session("8"), Policy: ptr(event.PolicyImplicit)}},
		{Source: "proxy-b", ID: "b2", Payload: event.Info{}},
	} {
		f.apply(ev, at(time.Duration(i)*time.Second))
	}
	return f
}

func newAPI(state api.Querier, h api.History, act *activity.Activity) *api.API {
	return api.New(api.Options{
		State: state, History: h, Reader: history.NewReader(nil), Activity: act, Rules: access.New(), System: idleSystem(),
		TraceURL: "https://traces.example/{trace_id}", Now: func() time.Time { return epoch.Add(time.Hour) },
	})
}

// idleSystem is a System in which nothing needs attention.
func idleSystem() api.System {
	return api.System{
		Ready: func() bool { return true }, Version: func() api.Version { return api.Version{Version: "1", Go: "go"} },
		Config: func() (string, string) { return "api:\n", "" }, Reload: func() api.Reload { return api.Reload{} },
		Storage: func() api.Storage { return api.Storage{} }, History: func() api.HistoryStatus { return api.HistoryStatus{} },
		Queue: func() api.Queue { return api.Queue{} }, Listeners: func() []api.Listener { return []api.Listener{} },
		Handshakes: func() []api.Handshake { return nil }, WebhookURL: func() string { return "http://exporter:5000/webhook/" },
		Secret: func() (string, error) { return "S", nil }, Authenticated: func() bool { return false },
	}
}

func handler(a *api.API) http.Handler {
	mux := http.NewServeMux()
	a.Register(mux)
	return mux
}

func session(port string) string { return "ssli_10.77.1.2:" + port + "+ssli_10.77.2.2:443" }

func ptr[T any](v T) *T { return &v }

func (f *fixture) get(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

// decode reads an answer into v and fails the test unless it has the status and is JSON.
func decode(t testing.TB, w *httptest.ResponseRecorder, status int, v any) {
	t.Helper()
	if w.Code != status || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("answered %d %s %s, want %d and JSON", w.Code, w.Header().Get("Content-Type"), w.Body, status)
	}
	if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
}

func TestOne(t *testing.T) {
	const common = "source id name trace_id span_id trace_url timeline state start session client_address client_port server_address server_port transport "
	tests := []struct {
		source, id, state string
		fields            string
	}{
		{"proxy-a", "a1", "open", common},
		{"proxy-b", "b1", "open", "source id name trace_id span_id trace_url timeline state start session client_address client_port transport"},
		{"proxy-a", "a3", "closing", common + "end close_reason duration_seconds bytes_up bytes_down"},
		{"proxy-b", "b2", "finished", common + "end close_reason duration_seconds bytes_up bytes_down policy"},
		{"proxy-a", "a4", "finished", common + "end close_reason duration_seconds bytes_up bytes_down policy app sni requests " +
			"signatures ja4 ja4s ja4h entropy_bits flow_skew sinkhole"},
	}
	f := newFixture(t)
	for _, tt := range tests {
		t.Run(tt.id, func(t *testing.T) {
			var got map[string]any
			decode(t, f.get(t, "/api/v1/connections/"+tt.source+"/"+tt.id), http.StatusOK, &got)
			if got["source"] != tt.source || got["id"] != tt.id || got["state"] != tt.state {
				t.Errorf("got %v, want %s of %s, %s", got, tt.id, tt.source, tt.state)
			}
			var fields []string
			for field := range got {
				fields = append(fields, field)
			}
			want := strings.Fields(tt.fields)
			slices.Sort(fields)
			slices.Sort(want)
			if diff := cmp.Diff(want, fields); diff != "" {
				t.Errorf("fields, -want +got:\n%s", diff)
			}
		})
	}
}

func TestOneInFull(t *testing.T) {
	var got map[string]any
	decode(t, newFixture(t).get(t, "/api/v1/connections/proxy-a/a4"), http.StatusOK, &got)
	want := map[string]any{
		// printf %s "proxy-a/a4" | sha256sum
		"trace_id": "2a11975d29c507502743f99e34ce6e83", "span_id": "111390f80d8c4761",
		"trace_url": "https://traces.example/2a11975d29c507502743f99e34ce6e83", "name": "a4", "client_port": 7.0,
		"timeline": []any{
			map[string]any{"at": "2026-01-02T03:04:10Z", "offset_seconds": 0.0, "kind": "start", "text": "The proxy reported the start."},
			map[string]any{"at": "2026-01-02T03:04:11Z", "offset_seconds": 1.0, "kind": "stop", "text": "The proxy reported the stop."},
			map[string]any{"at": "2026-01-02T03:04:12Z", "offset_seconds": 2.0, "kind": "info", "text": "The proxy sent connection-info: statistics, sinkhole."},
		},
		"source": "proxy-a", "id": "a4", "state": "finished", "close_reason": "stop",
		"start": "2026-01-02T03:04:10Z", "end": "2026-01-02T03:04:11Z", "duration_seconds": 1.0,
		"session": session("7"), "client_address": "10.77.1.2", "server_address": "10.77.2.2", "server_port": 443.0,
		"transport": "tls", "sni": "www.example.com", "app": "http1", "policy": "2", "bytes_up": 91.0, "bytes_down": 122.0,
		"requests": []any{"https://www.example.com/"}, "signatures": []any{"www/http/request"},
		"entropy_bits": map[string]any{"up": 5.25}, "flow_skew": 0.5, "ja4": "t13d1516h2", "ja4s": "t130200", "ja4h": []any{"ge11nn", "ge11cn"},
		"sinkhole": map[string]any{
			"left": false, "right": true, "left_bytes": 0.0, "right_bytes": 122.0, "replacement_bytes": 7.0,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOneNotFound(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"proxy-a/b1", "proxy-b/a4", "proxy-c/a1", "proxy-a/none"} {
		t.Run(path, func(t *testing.T) {
			var problem struct{ Error string }
			decode(t, f.get(t, "/api/v1/connections/"+path), http.StatusNotFound, &problem)
			if problem.Error == "" {
				t.Error("no error is told")
			}
		})
	}
}

// Names come from the network: what they hold must not lead elsewhere.
func TestOneWithOddNames(t *testing.T) {
	f := newFixture(t)
	for _, name := range []string{"a b", "a/b", "a%2Fb", "ä", "..a", "?", "\x00", "a#2"} {
		t.Run(name, func(t *testing.T) {
			f.apply(event.Event{Source: name, ID: name, Payload: event.Start{Session: session("9")}}, at(0))
			var got struct{ Source, ID string }
			decode(t, f.get(t, "/api/v1/connections/"+url.PathEscape(name)+"/"+url.PathEscape(name)), http.StatusOK, &got)
			if got.Source != name || got.ID != name {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestStateIsGone(t *testing.T) {
	f := newFixture(t)
	f.state.err = errors.New("pipeline is stopped")
	for _, path := range []string{"", "?state=open", "/proxy-a/a1", "/proxy-a/a4"} {
		t.Run(path, func(t *testing.T) {
			var problem struct{ Error string }
			w := f.get(t, "/api/v1/connections"+path)
			decode(t, w, http.StatusServiceUnavailable, &problem)
			if problem.Error != f.state.err.Error() || w.Header().Get("Retry-After") == "" {
				t.Errorf("error is %q, want %q and a Retry-After", problem.Error, f.state.err)
			}
		})
	}
}

// A PTR id comes again within a boot: the name of the second connection is "<id>#2".
func TestOneOfAnIDThatComesAgain(t *testing.T) {
	f := newFixture(t)
	const id = "Proxy-A1-PTR-1"
	for i, port := range []string{"101", "102"} {
		ev := event.Event{Source: "proxy-a", ID: id, Payload: event.Start{Session: session(port)}}
		f.apply(ev, at(time.Minute+time.Duration(i)*time.Second))
	}
	tests := []struct {
		name, state string
		n           uint32
		trace       string // printf %s "proxy-a/<name>" | sha256sum
	}{
		{id, "closing", 0, "b1b20b3f7260973d8b9b735457ee1bb0"},
		{id + "#2", "open", 2, "69757b76cedb4989ac035af14073c047"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got struct {
				ID, State string
				N         uint32
				TraceID   string `json:"trace_id"`
			}
			decode(t, f.get(t, "/api/v1/connections/proxy-a/"+url.PathEscape(tt.name)), http.StatusOK, &got)
			if got.ID != id || got.State != tt.state || got.N != tt.n || got.TraceID != tt.trace {
				t.Errorf("got %+v, want n %d, %s, trace %s", got, tt.n, tt.state, tt.trace)
			}
		})
	}
}

func TestPolicyOfNoRule(t *testing.T) {
	var got struct{ Policy string }
	decode(t, newFixture(t).get(t, "/api/v1/connections/proxy-b/b2"), http.StatusOK, &got)
	if got.Policy != "implicit" {
		t.Errorf("policy is %q, want implicit", got.Policy)
	}
}
