package webhook_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/webhook"
)

// defaulted is the answer by the default verdict.
func defaulted(verdict event.Verdict, reason string) string {
	return `{"access-response":"` + string(verdict) + `","rule":"default","decision":"0af8","error":"` + reason + `"}`
}

// An access-request that cannot be understood gets the default verdict, of the proxy's own if it is known.
func TestAccessRequestThatCannotBeDecoded(t *testing.T) {
	chunked := func(s string) io.Reader { return struct{ io.Reader }{strings.NewReader(s)} }
	padding := strings.Repeat("x", maxBody)
	tests := []struct {
		name    string
		body    io.Reader
		verdict event.Verdict
		reason  string
	}{
		{"syntax", strings.NewReader(`{"action":"access-request","details":{"session":"l"},"id":"l",}`), event.Reject, "syntax"},
		{"cut off", strings.NewReader(accessRequest[:len(accessRequest)/2]), event.Reject, "syntax"},
		{"details of a wrong type", strings.NewReader(`{"action":"access-request","details":[],"id":"l","source":"oneofmany1"}`), event.Accept, "type"},
		{"details missing", strings.NewReader(`{"action":"access-request","id":"l","source":"oneofmany1"}`), event.Accept, "missing"},
		{"session missing", strings.NewReader(`{"action":"access-request","details":{},"id":"l","source":"oneofmany1"}`), event.Accept, "missing"},
		{"source missing", strings.NewReader(`{"action":"access-request","details":{"session":"l"},"id":"l"}`), event.Reject, "missing"},
		{"id too long", strings.NewReader(`{"action":"access-request","details":{"session":"l"},"id":"` + padding[:event.MaxNameBytes+1] + `","source":"oneofmany1"}`), event.Accept, "too_long"},
		{"of another daemon", strings.NewReader(`{"action":"access-request","details":{"session":"l"},"id":"l","source":"oneofmany1","type":"switch"}`), event.Accept, "type"},
		{"too large", strings.NewReader(`{"action":"access-request","details":{"session":"` + padding + `"}}`), event.Reject, "size"},
		{"too large, chunked", chunked(`{"action":"access-request","details":{"session":"` + padding + `"}}`), event.Reject, "size"},
	}
	in := &intake{}
	h, refused := newHandler(in)
	s := serve(t, h)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := do(t, s.Client(), request(t, http.MethodPost, s.URL+path, tt.body))
			if want := defaulted(tt.verdict, tt.reason); got.status != http.StatusOK || strings.TrimSpace(got.body) != want {
				t.Errorf("answered %d %s, want 200 %s", got.status, got.body, want)
			}
			refused.check(t, "fallback "+tt.reason)
		})
	}
	if len(in.events) > 0 || len(in.decisions) > 0 {
		t.Errorf("the intake has %v and %v", in.events, in.decisions)
	}
}

// Every prefix of an access-request that holds its action gets a verdict, also when the connection ends
// within the body.
func TestAccessRequestThatEndsEarly(t *testing.T) {
	h, refused := newHandler(&intake{})
	action := len(`{"action":"access-request"`)
	for n := action; n < len(accessRequest); n++ {
		body := struct{ io.Reader }{io.MultiReader(strings.NewReader(accessRequest[:n]), brokenReader{})}
		r := httptest.NewRequest(http.MethodPost, path, body)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		// The source comes near the end.
		verdict := event.Reject
		if n >= strings.Index(accessRequest, `,"type"`) {
			verdict = event.Accept
		}
		if want := defaulted(verdict, "body"); w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != want {
			t.Errorf("%s: answered %d %s, want 200 %s", accessRequest[:n], w.Code, w.Body, want)
		}
		refused.check(t, "fallback body")
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A defect in the rules leads to the default verdict, and the decision is recorded as any other.
func TestAccessRulesPanic(t *testing.T) {
	in := &intake{}
	h, refused := newHandler(in)
	var log strings.Builder
	h.Logger = slog.New(slog.NewTextHandler(&log, nil))
	h.Decider = decider{decide: func() { panic("a defect") }}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(accessRequest)))
	if want := defaulted(event.Accept, "panic"); w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("answered %d %s, want 200 %s", w.Code, w.Body, want)
	}
	refused.check(t, "fallback panic")
	if len(in.decisions) != 1 || in.decisions[0].Rule != "default" || in.decisions[0].Verdict != event.Accept || in.decisions[0].ID != "0af8" {
		t.Errorf("decisions are %+v", in.decisions)
	}
	// Privacy settings have not been applied to the request.
	if client := event.ParseSession(in.decisions[0].Label).Client.Host; client == "" || !strings.Contains(log.String(), "a defect") || strings.Contains(log.String(), client) {
		t.Errorf("client %q, logged is %s", client, &log)
	}
}

// A decision that cannot be recorded is counted, and answered all the same.
func TestAccessRequestWithoutRoom(t *testing.T) {
	h, refused := newHandler(&intake{decision: func(track.Decision) (bool, error) { return false, nil }})
	got := post(t, serve(t, h), accessRequest)
	if got.status != http.StatusOK || !strings.Contains(got.body, `"access-response":"reject"`) {
		t.Errorf("answered %d %s", got.status, got.body)
	}
	refused.check(t, "overload")
}

// The server shuts down while an access-request is half received: it is answered by the rules all the same, also
// when the rest of the exporter has stopped.
func TestAccessRequestDuringShutdown(t *testing.T) {
	stopped := errors.New("stopped")
	h, refused := newHandler(&intake{decision: func(track.Decision) (bool, error) { return false, stopped }})
	l, err := webhook.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reading := make(chan struct{}, 1)
	server := webhook.NewServer(h).HTTP
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reading <- struct{}{}
		h.ServeHTTP(w, r)
	})
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head := "POST " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " + strconv.Itoa(len(accessRequest)) + "\r\n\r\n"
	half := len(accessRequest) / 2
	if _, err := io.WriteString(conn, head+accessRequest[:half]); err != nil {
		t.Fatal(err)
	}
	<-reading
	shut := make(chan error, 1)
	go func() { shut <- server.Shutdown(context.Background()) }()
	// Serve returns once Shutdown has begun.
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, accessRequest[half:]); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(answer), "HTTP/1.1 200 ") || !strings.Contains(string(answer), `{"access-response":"reject","rule":"rule 1"`) {
		t.Errorf("answered %s", answer)
	}
	if err := <-shut; err != nil {
		t.Error(err)
	}
	refused.check(t, "stopping")
}
