package webhook_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/webhook"
)

const (
	secret  = "S3CRET"
	path    = "/webhook/" + secret
	maxBody = 4096

	ping          = `{"action":"ping","source":"oneofmany1","type":"proxy"}`
	label         = "tcp_10.77.1.2:37048+tcp_10.77.2.2:8080"
	accessRequest = `{"action":"access-request","details":{"policy":3,"session":"` + label + `"},"id":"` + label + `","source":"oneofmany1","type":"proxy"}`
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// intake keeps what it is given, unless a test puts functions of its own in.
type intake struct {
	event    func(event.Event) error
	decision func(track.Decision) error

	mu        sync.Mutex
	events    []event.Event
	times     []time.Time
	decisions []track.Decision
	ask       bool // asks by every answer
}

func (i *intake) Event(ev event.Event, at time.Time) (bool, error) {
	if i.event != nil {
		return i.ask, i.event(ev)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.events, i.times = append(i.events, ev), append(i.times, at)
	return i.ask, nil
}

func (i *intake) Decision(d track.Decision) error {
	if i.decision != nil {
		return i.decision(d)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.decisions = append(i.decisions, d)
	return nil
}

// decider always decides the same, unless a test puts a function of its own in.
type decider struct {
	decision access.Decision
	decide   func()
}

func (d decider) Decide(access.Request) access.Decision {
	if d.decide != nil {
		d.decide()
	}
	return d.decision
}

// Default accepts for the source oneofmany1, and rejects for all others.
func (decider) Default(source string) access.Decision {
	d := access.Decision{Outcome: access.Outcome{Verdict: event.Reject, Rule: access.RuleDefault}, ID: "0af8"}
	if source == "oneofmany1" {
		d.Verdict = event.Accept
	}
	return d
}

var rejects = decider{decision: access.Decision{Outcome: access.Outcome{Verdict: event.Reject, Rule: "rule 1"}, ID: "0af7"}}

// refusals are the reasons that Refused was called with, in order; those of Fallback have the word
// before them. A channel, because some of them come after the answer.
type refusals chan string

// check fails the test unless it was called with exactly these since the last check.
func (r refusals) check(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		got := <-r
		reason, fallback := strings.CutPrefix(got, "fallback ")
		known := webhook.Refusals
		if fallback {
			known = webhook.Fallbacks
		}
		if got != w {
			t.Errorf("reason is %q, want %q", got, w)
		} else if !slices.Contains(known, reason) {
			t.Errorf("reason %q is not one of %v", got, known)
		}
	}
	if len(r) > 0 {
		t.Errorf("reason %q besides", <-r)
	}
}

func newHandler(in webhook.Intake) (*webhook.Handler, refusals) {
	refused := make(refusals, 64)
	return &webhook.Handler{
		Secrets: webhook.NewSecrets(secret), Decider: rejects, Intake: in,
		Refused:  func(reason string) { refused <- reason },
		Fallback: func(reason string) { refused <- "fallback " + reason },
		Now:      func() time.Time { return epoch },
		MaxBody:  maxBody, Logger: slog.New(slog.DiscardHandler),
	}, refused
}

// serve serves h by the server that the exporter runs.
func serve(t *testing.T, h *webhook.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.Config = webhook.NewServer(h, h.Logger)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

type answer struct {
	status int
	header http.Header
	body   string
}

func do(t *testing.T, c *http.Client, r *http.Request) answer {
	t.Helper()
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

func request(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func post(t *testing.T, s *httptest.Server, body string) answer {
	t.Helper()
	return do(t, s.Client(), request(t, http.MethodPost, s.URL+path, strings.NewReader(body)))
}

// checkRefusal checks an answer that refuses: its status, and a body that says why.
func checkRefusal(t *testing.T, got answer, status int, reason string) {
	t.Helper()
	if got.status != status {
		t.Errorf("answered %d, want %d", got.status, status)
	}
	if ct := got.header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("Content-Type is %q", ct)
	}
	var body struct{ Error, Reason string }
	if err := json.Unmarshal([]byte(got.body), &body); err != nil {
		t.Fatalf("body %q: %v", got.body, err)
	}
	if body.Error == "" || body.Reason != reason {
		t.Errorf("body is %s, want an error and the reason %q", got.body, reason)
	}
}
