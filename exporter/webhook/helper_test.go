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
	decision func(track.Decision) (bool, error)

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

func (i *intake) Decision(d track.Decision) (bool, error) {
	if i.decision != nil {
		return i.decision(d)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.decisions = append(i.decisions, d)
	return true, nil
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

// refusals are the reasons that were counted, in order; those that are not of Refused have a word
// before them. A channel, because some of them come after the answer.
type refusals chan string

// check fails the test unless it was called with exactly these since the last check.
func (r refusals) check(t *testing.T, want ...string) {
	t.Helper()
	for _, w := range want {
		got := <-r
		known, reason := webhook.Refusals, got
		if kind, named, ok := strings.Cut(got, " "); ok {
			known = map[string][]string{
				"fallback": webhook.Fallbacks, "connection": webhook.ConnectionRefusals, "handshake": webhook.HandshakeReasons,
			}[kind]
			reason = named
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

// Refused, AccessFallback, ConnectionRefused and HandshakeFailed are what a handler and a server count.
func (r refusals) Refused(reason string)           { r <- reason }
func (r refusals) AccessFallback(reason string)    { r <- "fallback " + reason }
func (r refusals) ConnectionRefused(reason string) { r <- "connection " + reason }
func (r refusals) HandshakeFailed(reason string)   { r <- "handshake " + reason }

func newHandler(in webhook.Intake) (*webhook.Handler, refusals) {
	return newHandlerOf(in, webhook.Config{Secrets: []webhook.Secret{{Secret: secret}}}, webhook.DefaultConfig().Limits)
}

// newHandlerOf returns a handler that lets in whom c says.
func newHandlerOf(in webhook.Intake, c webhook.Config, l webhook.Limits) (*webhook.Handler, refusals) {
	refused := make(refusals, 64)
	logger := slog.New(slog.DiscardHandler)
	return webhook.NewHandler(webhook.Options{
		Door: openDoor(c), Decider: rejects, Intake: in, Metrics: refused,
		Now:     func() time.Time { return epoch },
		MaxBody: maxBody, Limits: l, Logger: logger,
	}), refused
}

// openDoor returns a Door of a configuration with secrets, which must be valid.
func openDoor(c webhook.Config) *webhook.Door {
	d := webhook.NewDoor("", slog.New(slog.DiscardHandler))
	use, err := d.Prepare(c)
	if err != nil {
		panic(err)
	}
	use()
	return d
}

// serve serves h by the server that the exporter runs.
func serve(t *testing.T, h *webhook.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.Config = webhook.NewServer(h).HTTP
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
