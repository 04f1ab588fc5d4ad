package web_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/web"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// state is a Querier that gives a tracker away, or fails.
type state struct {
	tracker *track.Tracker
	err     error
}

func (s *state) Query(_ context.Context, look func(*track.Tracker)) error {
	if s.err != nil {
		return s.err
	}
	look(s.tracker)
	return nil
}

// fixture is an API over three open connections (a1 and a2 of proxy-a, b1 of proxy-b), one that is
// closing (a3), and two that are finished (a4, then b2).
type fixture struct {
	state   *state
	handler http.Handler
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	recent := web.NewRecent(10)
	s := &state{tracker: track.New(track.DefaultOptions(), recent.Take)}
	stop := event.Stop{
		Session: session("7"), Policy: ptr(2), BytesUp: 91, BytesDown: 122, TLS: true, SNI: "www.example.com",
		App: "http1", Details: []string{"https://www.example.com/"}, Signatures: []string{"www/http/request"},
	}
	info := event.Info{Statistics: &event.Statistics{
		Session: session("7"), Up: &event.Entropy{Bits: 5.25, Sampled: 91}, Skew: ptr(0.5),
	}}
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
		{Source: "proxy-b", ID: "b2", Payload: event.Stop{Session: session("8")}},
		{Source: "proxy-b", ID: "b2", Payload: event.Info{}},
	} {
		s.tracker.Apply(ev, epoch.Add(time.Duration(i)*time.Second))
	}
	registry := prometheus.NewRegistry()
	h, err := web.NewHandler(web.Options{
		MetricsPath: "/metrics", Version: "1", Gatherer: registry, Registerer: registry,
		API: &web.API{State: s, Recent: recent}, Ready: func() bool { return true },
	})
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{s, h}
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
func decode(t *testing.T, w *httptest.ResponseRecorder, status int, v any) {
	t.Helper()
	if w.Code != status || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("answered %d %s %s, want %d and JSON", w.Code, w.Header().Get("Content-Type"), w.Body, status)
	}
	if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
		t.Fatalf("%s: %v", w.Body, err)
	}
}

func TestList(t *testing.T) {
	tests := []struct {
		query string
		want  string // ids and states, in order
	}{
		{"", "a1:open a2:open a3:closing b1:open b2:finished a4:finished"},
		{"?source=proxy-a", "a1:open a2:open a3:closing a4:finished"},
		{"?source=proxy-b", "b1:open b2:finished"},
		{"?source=proxy", ""},
		{"?state=open", "a1:open a2:open b1:open"},
		{"?state=closing", "a3:closing"},
		{"?state=finished", "b2:finished a4:finished"},
		{"?state=finished&source=proxy-a", "a4:finished"},
		{"?state=open&source=proxy-b", "b1:open"},
		{"?limit=1", "a1:open"},
		{"?limit=4", "a1:open a2:open a3:closing b1:open"},
		{"?limit=5", "a1:open a2:open a3:closing b1:open b2:finished"},
		{"?limit=1000000", "a1:open a2:open a3:closing b1:open b2:finished a4:finished"},
		{"?limit=1&state=closing", "a3:closing"},
		{"?limit=1&state=finished", "b2:finished"},
		{"?limit=1&source=proxy-b", "b1:open"},
		{"?limit=&state=&source=", "a1:open a2:open a3:closing b1:open b2:finished a4:finished"},
	}
	f := newFixture(t)
	for _, tt := range tests {
		t.Run(tt.query, func(t *testing.T) {
			var list struct {
				Connections []struct{ ID, State string }
			}
			w := f.get(t, "/api/v1/connections"+tt.query)
			decode(t, w, http.StatusOK, &list)
			// Whoever reads it iterates over it: it is a list even when it is empty.
			if list.Connections == nil {
				t.Errorf("connections are not a list: %s", w.Body)
			}
			var got []string
			for _, c := range list.Connections {
				got = append(got, c.ID+":"+c.State)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("connections are %v, want %v", got, tt.want)
			}
		})
	}
}

func TestListRefuses(t *testing.T) {
	f := newFixture(t)
	for query, want := range map[string]string{
		"?state=done": "state", "?state=Open": "state", "?limit=0": "limit", "?limit=-1": "limit",
	} {
		t.Run(query, func(t *testing.T) {
			var problem struct{ Error string }
			decode(t, f.get(t, "/api/v1/connections"+query), http.StatusBadRequest, &problem)
			if !strings.Contains(problem.Error, want) {
				t.Errorf("error is %q, want it to be about the %s", problem.Error, want)
			}
		})
	}
}

func TestOne(t *testing.T) {
	const common = "source id trace_id span_id state start session client_address server_address server_port transport "
	tests := []struct {
		source, id, state string
		fields            string
	}{
		{"proxy-a", "a1", "open", common},
		{"proxy-b", "b1", "open", "source id trace_id span_id state start session client_address transport"},
		{"proxy-a", "a3", "closing", common + "end close_reason duration_seconds bytes_up bytes_down"},
		{"proxy-b", "b2", "finished", common + "end close_reason duration_seconds bytes_up bytes_down"},
		{"proxy-a", "a4", "finished", common + "end close_reason duration_seconds bytes_up bytes_down policy app sni requests " +
			"signatures entropy_bits flow_skew"},
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
		"source": "proxy-a", "id": "a4", "state": "finished", "close_reason": "stop",
		"start": "2026-01-02T03:04:10Z", "end": "2026-01-02T03:04:11Z", "duration_seconds": 1.0,
		"session": session("7"), "client_address": "10.77.1.2", "server_address": "10.77.2.2", "server_port": 443.0,
		"transport": "tls", "sni": "www.example.com", "app": "http1", "policy": 2.0, "bytes_up": 91.0, "bytes_down": 122.0,
		"requests": []any{"https://www.example.com/"}, "signatures": []any{"www/http/request"},
		"entropy_bits": map[string]any{"up": 5.25}, "flow_skew": 0.5,
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
	for _, name := range []string{"a b", "a/b", "a%2Fb", "ä", "..a", "?", "\x00"} {
		t.Run(name, func(t *testing.T) {
			f.state.tracker.Apply(event.Event{Source: name, ID: name, Payload: event.Start{Session: session("9")}}, epoch)
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
	for _, path := range []string{"", "?state=open", "?state=finished", "/proxy-a/a1", "/proxy-a/a4"} {
		t.Run(path, func(t *testing.T) {
			var problem struct{ Error string }
			decode(t, f.get(t, "/api/v1/connections"+path), http.StatusServiceUnavailable, &problem)
			if problem.Error != f.state.err.Error() {
				t.Errorf("error is %q, want %q", problem.Error, f.state.err)
			}
		})
	}
}
