package webhook_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

func TestAnswers(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"ping", ping, `{}`},
		// Anything more in it would change the proxy's state.
		{"neighbor", `{"action":"neighbor","addresses":["10.77.1.2"],"source":"s","state":"new"}`, `{}`},
		{"start", `{"action":"connection-start","details":{"info":{"session":"l"}},"id":"i","source":"s"}`, `{}`},
		{"stop", `{"action":"connection-stop","details":{"info":{"session":"l","bytes_up":1,"bytes_down":2}},"id":"i","source":"s"}`, `{}`},
		{"info", `{"action":"connection-info","details":{},"id":"i","source":"s"}`, `{}`},
		{"content", `{"action":"connection-content","details":{"info":{"session":"l","side":"L","content":"QQ=="}},"id":"i","source":"s"}`,
			`{"action":"none"}`},
		{"access-request", accessRequest, `{"access-response":"reject","rule":"rule 1","decision":"0af7"}`},
		{"unknown", `{"action":"reload","source":"s"}`, `{}`},
	}
	in := &intake{}
	h, refused := newHandler(in)
	s := serve(t, h)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := post(t, s, tt.body)
			if got.status != http.StatusOK || strings.TrimSpace(got.body) != tt.want {
				t.Errorf("answered %d %s, want 200 %s", got.status, got.body, tt.want)
			}
			if ct := got.header.Get("Content-Type"); ct != "application/json" {
				t.Errorf("Content-Type is %q", ct)
			}
			if length := got.header.Get("Content-Length"); length != strconv.Itoa(len(got.body)) {
				t.Errorf("Content-Length is %q of %d bytes", length, len(got.body))
			}
			refused.check(t)
		})
	}
	if got, want := len(in.events), len(tests)-1; got != want {
		t.Errorf("the intake has %d events, want %d", got, want)
	}
}

func TestIntakeGetsWhatWasReceived(t *testing.T) {
	in := &intake{}
	h, _ := newHandler(in)
	now := epoch
	h.Now = func() time.Time { now = now.Add(time.Millisecond); return now }
	// The handler has returned when a recorder's answer is looked at, so that nothing has to be waited for.
	for _, body := range []string{ping, accessRequest} {
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	events := []event.Event{{Action: event.ActionPing, Source: "oneofmany1", Payload: event.Ping{}}}
	if diff := cmp.Diff(events, in.events); diff != "" {
		t.Errorf("events, -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]time.Time{epoch.Add(time.Millisecond)}, in.times); diff != "" {
		t.Errorf("times of receipt, -want +got:\n%s", diff)
	}
	decisions := []track.Decision{{
		Source: "oneofmany1", ID: "0af7", ConnectionID: label, Label: label, Policy: 3, Verdict: event.Reject, Rule: "rule 1",
		Received: epoch.Add(2 * time.Millisecond), Answered: epoch.Add(3 * time.Millisecond),
	}}
	if diff := cmp.Diff(decisions, in.decisions, cmpopts.IgnoreUnexported(track.Decision{})); diff != "" {
		t.Errorf("decisions, -want +got:\n%s", diff)
	}
}

func TestRefusals(t *testing.T) {
	chunked := func(n int) io.Reader { return struct{ io.Reader }{bytes.NewReader(make([]byte, n))} }
	text := func(s string) io.Reader { return strings.NewReader(s) }
	long := strings.Repeat("n", event.MaxNameBytes+1)
	tests := []struct {
		name, method, path string
		body               io.Reader
		status             int
		reason             string
	}{
		{"wrong secret", "POST", "/webhook/secret", text(ping), 404, "secret"},
		{"wrong secret that begins right", "POST", path + "x", text(ping), 404, "secret"},
		{"wrong secret that ends early", "POST", path[:len(path)-1], text(ping), 404, "secret"},
		{"wrong secret and method", "GET", "/webhook/secret", nil, 404, "secret"},
		{"secret missing", "POST", "/webhook/", text(ping), 404, "secret"},
		{"secret and slash missing", "POST", "/webhook", text(ping), 404, "secret"},
		{"segment after the secret", "POST", path + "/more", text(ping), 404, "secret"},
		{"slash after the secret", "POST", path + "/", text(ping), 404, "secret"},
		{"root", "GET", "/", nil, 404, "secret"},
		{"other path", "GET", "/metrics", nil, 404, "secret"},
		{"GET", "GET", path, nil, 405, "method"},
		{"PUT", "PUT", path, text(ping), 405, "method"},
		{"OPTIONS", "OPTIONS", path, nil, 405, "method"},
		{"too large", "POST", path, bytes.NewReader(make([]byte, maxBody+1)), 413, "size"},
		{"too large, chunked", "POST", path, chunked(maxBody + 1), 413, "size"},
		{"largest, of garbage", "POST", path, bytes.NewReader(make([]byte, maxBody)), 400, "syntax"},
		{"largest, of garbage, chunked", "POST", path, chunked(maxBody), 400, "syntax"},
		{"empty", "POST", path, nil, 400, "syntax"},
		{"no JSON", "POST", path, text("action=ping"), 400, "syntax"},
		{"wrong type", "POST", path, text(`{"action":"ping","source":5}`), 400, "type"},
		{"missing", "POST", path, text(`{"action":"ping"}`), 400, "missing"},
		{"too long", "POST", path, text(`{"action":"ping","source":"` + long + `"}`), 400, "too_long"},
	}
	in := &intake{}
	h, refused := newHandler(in)
	s := serve(t, h)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := do(t, s.Client(), request(t, tt.method, s.URL+tt.path, tt.body))
			checkRefusal(t, got, tt.status, tt.reason)
			if allow := got.header.Get("Allow"); (allow == "POST") != (tt.status == 405) {
				t.Errorf("Allow is %q", allow)
			}
			refused.check(t, tt.reason)
		})
	}
	if len(in.events) > 0 {
		t.Errorf("the intake has %v", in.events)
	}
}

// A body of the largest size is taken, whichever way its size is said.
func TestLargestBody(t *testing.T) {
	body := ping + strings.Repeat(" ", maxBody-len(ping))
	h, refused := newHandler(&intake{})
	s := serve(t, h)
	for name, r := range map[string]io.Reader{
		"length": strings.NewReader(body), "chunked": struct{ io.Reader }{strings.NewReader(body)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := do(t, s.Client(), request(t, http.MethodPost, s.URL+path, r)); got.status != http.StatusOK {
				t.Errorf("answered %d %s", got.status, got.body)
			}
			refused.check(t)
		})
	}
}
