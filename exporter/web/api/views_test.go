package api_test

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/web/api"
)

func (f *fixture) send(t *testing.T, method, path, contentType, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, r)
	return w
}

// useRules puts rules in force: a network that is rejected, a dry-run rule, and a list.
func (f *fixture) useRules(t *testing.T) {
	t.Helper()
	list := filepath.Join(t.TempDir(), "feed")
	if err := os.WriteFile(list, []byte("192.0.2.0/24\n198.51.100.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var network access.Network
	if err := network.UnmarshalText([]byte("10.9.0.0/16")); err != nil {
		t.Fatal(err)
	}
	c := access.DefaultConfig()
	c.Rules = []access.Rule{
		{Name: "guests", Client: []access.Network{network}, Port: []access.Ports{{From: 443, To: 443}}, Verdict: event.Reject},
		{Name: "trial", ServerFile: []string{list}, Verdict: event.Reject, DryRun: true},
	}
	set, err := new(access.Loader).Load(c)
	if err != nil {
		t.Fatal(err)
	}
	f.api.Rules.Use(set)
}

// TestResponses compares real responses with the description.
func TestResponses(t *testing.T) {
	f := newFixture(t)
	f.useRules(t)
	f.system(func(s *api.System) {
		s.Handshakes = func() []api.Handshake {
			return []api.Handshake{{Client: "192.0.2.7", Reason: "untrusted", Hint: "check the CA", At: epoch.Add(time.Hour), Failed: 3}}
		}
		s.Queue = func() api.Queue { return api.Queue{Enabled: true, Spans: 3, Bytes: 4, Oldest: epoch} }
		s.Reload = func() api.Reload { return api.Reload{Enabled: true, Last: epoch, Failed: true, Error: "line 3"} }
		s.Listeners = func() []api.Listener {
			n := 3
			return []api.Listener{{Name: "webhook", Address: ":5000", Connections: &n}}
		}
	})
	f.state.tracker.Decide(track.Decision{
		Source: "proxy-a", ID: "d1", Label: session("99"), Policy: 3, Verdict: event.Reject, Rule: "guests", DryRunRule: "trial", Received: epoch, Answered: epoch,
	}, nil)
	const try = `{"source": "edge", "session": "tcp_10.9.0.1:40000+ssli_192.0.2.1:80"}`
	tests := []struct{ method, path, described, body string }{
		{"GET", "/api/v1/overview", "/api/v1/overview", ""},
		{"GET", "/api/v1/connections?limit=2", "/api/v1/connections", ""},
		{"GET", "/api/v1/connections?state=finished", "/api/v1/connections", ""},
		{"GET", "/api/v1/connections/proxy-a/a1", "/api/v1/connections/{source}/{name}", ""},
		{"GET", "/api/v1/connections/proxy-a/a4", "/api/v1/connections/{source}/{name}", ""},
		{"GET", "/api/v1/access", "/api/v1/access", ""},
		{"POST", "/api/v1/access/try", "/api/v1/access/try", try},
		{"GET", "/api/v1/top?dimension=sni&window=1h&order=connections", "/api/v1/top", ""},
		{"GET", "/api/v1/status", "/api/v1/status", ""},
		{"GET", "/api/v1/setup", "/api/v1/setup", ""},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			w := f.send(t, tt.method, tt.path, "application/json", tt.body)
			if w.Code != http.StatusOK {
				t.Fatalf("answered %d %s", w.Code, w.Body)
			}
			api.CheckResponse(t, tt.method, tt.described, "200", w.Body.Bytes())
		})
	}
	for _, path := range []string{"/api/v1/overview?x=1", "/api/v1/connections?q=foo:1", "/api/v1/top?window=1y", "/api/v1/connections/a/b"} {
		t.Run("error "+path, func(t *testing.T) {
			w := f.get(t, path)
			if w.Code == http.StatusOK {
				t.Fatalf("answered %d %s", w.Code, w.Body)
			}
			described, _, _ := strings.Cut(path, "?")
			if strings.HasSuffix(path, "/a/b") {
				described = "/api/v1/connections/{source}/{name}"
			}
			api.CheckResponse(t, "GET", described, "default", w.Body.Bytes())
		})
	}
}

// system changes what the fixture's API is told about the exporter.
func (f *fixture) system(change func(*api.System)) { change(&f.api.System) }

func TestErrorsHaveAPosition(t *testing.T) {
	var problem struct {
		Error, Field string
		Position     *int
	}
	decode(t, newFixture(t).get(t, "/api/v1/connections?q=app:http2+clint:10.0.0.1"), http.StatusBadRequest, &problem)
	if problem.Field != "q" || problem.Position == nil || *problem.Position != 10 || !strings.Contains(problem.Error, "clint") {
		t.Errorf("the error is %+v", problem)
	}
}

func TestAttention(t *testing.T) {
	now := epoch.Add(time.Hour)
	tests := []struct {
		name     string
		change   func(f *fixture)
		kind     string
		severity api.Severity
		says     string
	}{
		{"storage", func(f *fixture) {
			f.system(func(s *api.System) { s.Storage = func() api.Storage { return api.Storage{Behind: true} } })
		}, "storage_behind", api.Critical, "lost if the exporter stops"},
		{"spans", func(f *fixture) {
			f.system(func(s *api.System) {
				s.Queue = func() api.Queue { return api.Queue{Spans: 12, Oldest: now.Add(-10 * time.Minute)} }
			})
		}, "spans_pending", api.Critical, "12 spans wait for the tracing backend, the oldest for 10m"},
		{"reload", func(f *fixture) {
			f.system(func(s *api.System) { s.Reload = func() api.Reload { return api.Reload{Failed: true, Error: "line 3"} } })
		}, "reload_failed", api.Warning, "line 3"},
		{"not ready", func(f *fixture) {
			f.system(func(s *api.System) { s.Ready = func() bool { return false } })
		}, "not_ready", api.Warning, "being loaded"},
		{"silent", func(f *fixture) {
			f.api.Activity.Take(track.ProxyStatus{Source: "proxy-z", PingedAt: now.Add(-7 * time.Minute)})
		}, "proxy_silent", api.Critical, `"proxy-z" has not pinged for 7m`},
		{"never pinged", func(f *fixture) {
			f.api.Activity.Take(track.ProxyStatus{Source: "proxy-z"})
		}, "proxy_silent", api.Warning, `"proxy-z" sends events, but has never pinged`},
		{"handshakes", func(f *fixture) {
			f.system(func(s *api.System) {
				s.Handshakes = func() []api.Handshake {
					return []api.Handshake{{Client: "192.0.2.7", Reason: "untrusted", Hint: "check the CA", At: now, Failed: 3}, {At: now.Add(-2 * time.Hour)}}
				}
			})
		}, "handshakes_failing", api.Warning, "TLS handshakes from 192.0.2.7 fail (untrusted, 3 so far): check the CA."},
		{"rejected", func(f *fixture) {
			f.api.Activity.Refused("secret")
		}, "webhooks_rejected", api.Warning, "1 webhook requests were rejected in the last 15 minutes, reason secret"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			before, err := f.api.Overview(t.Context())
			if err != nil || len(before.Attention) != 0 {
				t.Fatalf("before: %v, %v", before.Attention, err)
			}
			tt.change(f)
			o, err := f.api.Overview(t.Context())
			if err != nil || len(o.Attention) != 1 {
				t.Fatalf("attention %v, %v", o.Attention, err)
			}
			got := o.Attention[0]
			if got.Kind != tt.kind || got.Severity != tt.severity || !strings.Contains(got.Text, tt.says) {
				t.Errorf("got %+v", got)
			}
			if w := f.get(t, got.RunbookURL); w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), "## "+got.Runbook+"\n") {
				t.Errorf("the runbook is %d %.40s", w.Code, w.Body)
			}
		})
	}
}

func TestRunbookEnds(t *testing.T) {
	text, ok := api.Runbook("SmithproxyDown")
	if !ok || strings.Count(text, "\n## ") != 0 || !strings.Contains(text, "**Action.**") {
		t.Errorf("the runbook is %q", text)
	}
	for _, name := range []string{"", "None", "SmithproxyDown\n"} {
		if _, ok := api.Runbook(name); ok {
			t.Errorf("there is a runbook %q", name)
		}
	}
}

func TestOverviewOfProxies(t *testing.T) {
	f := newFixture(t)
	o, err := f.api.Overview(t.Context())
	if err != nil || len(o.Proxies) != 2 {
		t.Fatalf("%+v, %v", o.Proxies, err)
	}
	a := o.Proxies[0]
	if a.Source != "proxy-a" || a.State != api.ProxyUnknown || a.Open != 2 || !a.LastEvent.Equal(epoch) || !a.LastPing.IsZero() {
		t.Errorf("proxy-a is %+v", a)
	}
	if n := len(a.Activity.Series.Connections); n != 60 || len(a.Activity.Series.Open) != n {
		t.Errorf("%d steps", n)
	}
	if o.Total.Open != 3 {
		t.Errorf("%d are open", o.Total.Open)
	}
}

func TestAccess(t *testing.T) {
	f := newFixture(t)
	if _, err := f.api.Access(t.Context()); !errors.Is(err, api.ErrNoState) {
		t.Errorf("before the rules are loaded: %v", err)
	}
	f.useRules(t)
	f.state.tracker.Decide(track.Decision{
		Source: "proxy-a", ID: "d1", Label: session("99"), Policy: event.PolicyUnknown, Verdict: event.Reject, Rule: "guests", DryRunRule: "trial",
		Received: epoch, Answered: epoch,
	}, nil)
	got, err := f.api.Access(t.Context())
	if err != nil || len(got.Rules) != 3 || len(got.Lists) != 1 || len(got.Recent) != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	guests, trial := got.Rules[0], got.Rules[1]
	if guests.Hits != 1 || guests.DryRunHits != 0 || !guests.LastHit.Equal(epoch) ||
		!slices.Equal(guests.Conditions, []string{"client: 10.9.0.0/16", "port: 443"}) {
		t.Errorf("guests is %+v", guests)
	}
	if !trial.DryRun || trial.Hits != 0 || trial.DryRunHits != 1 || !strings.Contains(trial.Conditions[0], "2 entries") {
		t.Errorf("trial is %+v", trial)
	}
	if got.Rules[2].Name != access.RuleDefault || got.Lists[0].Entries != 2 || got.Recent[0].Client != "10.77.1.2" || got.Recent[0].Policy != "" {
		t.Errorf("got %+v", got)
	}
}

func TestTry(t *testing.T) {
	f := newFixture(t)
	f.useRules(t)
	result := func(w *httptest.ResponseRecorder) (r api.TryResult) {
		decode(t, w, http.StatusOK, &r)
		return r
	}
	rejected := result(f.send(t, "POST", "/api/v1/access/try", "application/json", `{"source":"edge","session":"tcp_10.9.0.1:40000+ssli_203.0.113.1:443"}`))
	if rejected.Verdict != "reject" || rejected.Rule != "guests" || len(rejected.Passed) != 0 || rejected.Client != "10.9.0.1" || rejected.Transport != "tls" {
		t.Errorf("got %+v", rejected)
	}
	form := "source=edge&session=tcp_10.9.0.1:40000%2Bssli_192.0.2.1:80&policy=implicit&at=2026-11-01T23:00:00%2B01:00"
	accepted := result(f.send(t, "POST", "/api/v1/access/try", "application/x-www-form-urlencoded", form))
	if accepted.Verdict != "accept" || accepted.Rule != access.RuleDefault || accepted.DryRunRule != "trial" || len(accepted.Passed) != 2 ||
		accepted.Passed[0].Mismatches[0] != (api.Mismatch{Field: "port", Why: "80 is not 443"}) || len(accepted.Passed[1].Mismatches) != 0 || accepted.Policy != "implicit" {
		t.Errorf("got %+v", accepted)
	}
	view, err := f.api.Access(t.Context())
	if err != nil || view.Rules[0].Hits != 0 || len(view.Recent) != 0 {
		t.Errorf("a trial is counted: %+v, %v", view, err)
	}
	for body, field := range map[string]string{
		`{"session":"tcp_10.9.0.1:1+tcp_10.0.0.1:2"}`:                              "source",
		`{"source":"edge"}`:                                                        "session",
		`{"source":"edge","session":"nonsense"}`:                                   "session",
		`{"source":"edge","session":"tcp_10.9.0.1:1+tcp_10.0.0.1:2","policy":"x"}`: "policy",
		`{"source":"edge","session":"tcp_10.9.0.1:1+tcp_10.0.0.1:2","at":"noon"}`:  "at",
		`{"sourc":"edge"}`: "body",
		`{`:                "body",
	} {
		var problem struct{ Field string }
		decode(t, f.send(t, "POST", "/api/v1/access/try", "application/json", body), http.StatusBadRequest, &problem)
		if problem.Field != field {
			t.Errorf("%s: the error is about %q, want %q", body, problem.Field, field)
		}
	}
}

func TestTop(t *testing.T) {
	f := newFixture(t)
	for i := range 30 {
		for range i + 1 {
			f.api.Activity.Take(track.Stopped{C: &track.Connection{
				Source: "p", ID: "x", Label: fmt.Sprintf("tcp_10.0.0.%d:1+tcp_192.0.2.1:443", i), Stop: &event.Stop{BytesUp: uint64(1000 / (i + 1))},
			}})
		}
	}
	for order, first := range map[string]string{"bytes": "10.0.0.0", "connections": "10.0.0.29"} {
		got, err := f.api.Top(t.Context(), api.TopQuery{Order: order, Limit: 5})
		if err != nil || len(got.Rows) != 5 || order == "connections" && got.Rows[0].Value != first {
			t.Fatalf("%s: %+v, %v", order, got, err)
		}
		sum := got.Other
		for _, r := range got.Rows {
			sum.Connections, sum.BytesUp, sum.BytesDown = sum.Connections+r.Connections, sum.BytesUp+r.BytesUp, sum.BytesDown+r.BytesDown
		}
		if sum.Value = ""; sum != got.Total || got.Other.Value != "_other" {
			t.Errorf("%s: rows and the rest are %+v, the total is %+v", order, sum, got.Total)
		}
	}
	for _, q := range []string{"dimension=x", "window=2m", "order=x", "limit=0x", "limit=1001", "limit=-1", "x=1", "order=bytes&order=bytes"} {
		if w := f.get(t, "/api/v1/top?"+q); w.Code != http.StatusBadRequest {
			t.Errorf("%s: answered %d", q, w.Code)
		}
	}
}

func TestSecretIsForLoopbackAndUsers(t *testing.T) {
	tests := []struct {
		name, remote, host, header string
		authenticated, may         bool
	}{
		{"loopback", "127.0.0.1:1", "localhost:10932", "", false, true},
		{"loopback of IPv6", "[::1]:1", "[::1]:10932", "", false, true},
		{"another host", "192.0.2.1:1", "exporter:10932", "", false, false},
		{"rebound name", "127.0.0.1:1", "attacker.example:10932", "", false, false},
		{"reverse proxy", "127.0.0.1:1", "localhost", "X-Forwarded-For", false, false},
		{"user", "192.0.2.1:1", "exporter:10932", "", true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t)
			f.system(func(s *api.System) { s.Authenticated = func() bool { return tt.authenticated } })
			r := httptest.NewRequest(http.MethodPost, "/api/v1/setup/secret", nil)
			r.RemoteAddr, r.Host = tt.remote, tt.host
			if tt.header != "" {
				r.Header.Set(tt.header, "192.0.2.9")
			}
			w := httptest.NewRecorder()
			f.handler.ServeHTTP(w, r)
			shown := strings.Contains(w.Body.String(), "http://exporter:5000/webhook/S")
			if shown != tt.may || f.api.MaySeeSecret(r) != tt.may || !tt.may && w.Code != http.StatusForbidden {
				t.Errorf("answered %d %s", w.Code, w.Body)
			}
		})
	}
	if w := newFixture(t).get(t, "/api/v1/setup/secret"); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET is answered with %d", w.Code)
	}
}

func TestCSV(t *testing.T) {
	f := newFixture(t)
	f.apply(event.Event{Source: "proxy-a", ID: "evil", Payload: event.Stop{
		Session: session("66"), SNI: `=HYPERLINK("http://evil.example")`, App: "+1", Details: []string{"@x, \"y\"\n"},
	}}, at(time.Minute))
	w := f.get(t, "/api/v1/connections?format=csv&limit=3")
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/csv") || !strings.Contains(w.Header().Get("Content-Disposition"), "attachment") {
		t.Fatalf("answered %d %v", w.Code, w.Header())
	}
	rows, err := csv.NewReader(w.Body).ReadAll()
	if err != nil || len(rows) != 4 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	columns := map[string]int{}
	for i, name := range rows[0] {
		columns[name] = i
	}
	if got := rows[1][columns["sni"]]; got != `'=HYPERLINK("http://evil.example")` {
		t.Errorf("the SNI is %s", got)
	}
	if rows[1][columns["app"]] != "'+1" || rows[1][columns["requests"]] != "'@x, \"y\"\n" {
		t.Errorf("the row is %q", rows[1])
	}
	_, next, ok := strings.Cut(w.Header().Get("Link"), "<")
	next, _, _ = strings.Cut(next, ">")
	if !ok || !strings.Contains(next, "format=csv") {
		t.Fatalf("Link is %q", w.Header().Get("Link"))
	}
	if rows, err = csv.NewReader(f.get(t, next).Body).ReadAll(); err != nil || len(rows) != 4 {
		t.Errorf("the next page has %d rows, %v", len(rows), err)
	}
	if w := f.get(t, "/api/v1/connections?format=xml"); w.Code != http.StatusBadRequest {
		t.Errorf("an unknown format is answered with %d", w.Code)
	}
}

// Events after the end of a connection appear in its detail, and not as another connection.
func TestLateContent(t *testing.T) {
	f := newFixture(t)
	f.apply(event.Event{Action: event.ActionInfo, Source: "proxy-b", ID: "b2", Payload: event.Info{
		Statistics: &event.Statistics{Session: session("8"), Up: &event.Entropy{Bits: 7.5, Sampled: 9}},
	}}, at(time.Minute))
	got, err := f.api.Connection(t.Context(), "proxy-b", "b2")
	if err != nil || got.Entropy == nil || *got.Entropy.Up != 7.5 || got.State != "finished" {
		t.Fatalf("%+v, %v", got, err)
	}
	last := got.Timeline[len(got.Timeline)-1]
	if last.Kind != "late" || last.Offset != 52 || !strings.Contains(last.Text, "connection-info") {
		t.Errorf("the last event is %+v", last)
	}
	if page := f.page(t, "state=finished", "").String(); page != "b2:finished a4:finished" {
		t.Errorf("listed are %q", page)
	}
}

func TestTimelineOfRequestAndRepeats(t *testing.T) {
	f := newFixture(t)
	label := session("55")
	f.state.tracker.Decide(track.Decision{
		Source: "proxy-a", ID: "d", Label: label, Policy: event.PolicyUnknown, Verdict: event.Accept, Rule: "r", DryRunRule: "new",
		Received: epoch, Answered: epoch.Add(time.Millisecond), Mono: time.Minute,
	}, nil)
	for i := range 3 {
		f.apply(event.Event{Source: "proxy-a", ID: "a9", Payload: event.Start{Session: label}}, at(time.Duration(i+1)*time.Second))
	}
	got, err := f.api.Connection(t.Context(), "proxy-a", "a9")
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, e := range got.Timeline {
		kinds = append(kinds, e.Kind)
	}
	if strings.Join(kinds, " ") != "request decision start repeats" || got.Timeline[3].Count != 2 || !strings.Contains(got.Timeline[1].Text, `accept by rule "r" after 1ms`) {
		t.Errorf("the timeline is %+v", got.Timeline)
	}
}

// While the disk does not answer, a page has open connections and says what is missing.
func TestHistoryHangs(t *testing.T) {
	f := newFixture(t)
	blocked := make(chan struct{})
	defer close(blocked)
	f.api.History = hanging{blocked}
	var page api.ConnectionPage
	decode(t, f.get(t, "/api/v1/connections"), http.StatusOK, &page)
	if len(page.Connections) != 4 || page.Incomplete == "" || page.Cursor != "" {
		t.Errorf("%d connections, incomplete %q, cursor %q", len(page.Connections), page.Incomplete, page.Cursor)
	}
	if w := f.get(t, "/api/v1/connections/proxy-a/a4"); w.Code != http.StatusServiceUnavailable {
		t.Errorf("a finished connection: answered %d", w.Code)
	}
	if w := f.get(t, "/api/v1/connections/proxy-a/a1"); w.Code != http.StatusOK {
		t.Errorf("an open connection: answered %d", w.Code)
	}
}

// hanging is a History on a disk that does not answer.
type hanging struct{ until chan struct{} }

func (h hanging) History(uint64, func(uint64, time.Time, []byte) bool) error {
	<-h.until
	return nil
}

func (h hanging) HistoryOf(string, string, func([]byte)) error {
	<-h.until
	return nil
}

func TestOpenAPIIsServed(t *testing.T) {
	w := newFixture(t).get(t, "/api/v1/openapi.yaml")
	if w.Code != http.StatusOK || !strings.HasPrefix(w.Body.String(), "openapi: 3.1.0\n") {
		t.Errorf("answered %d %.40s", w.Code, w.Body)
	}
}

func TestRenderedPageIsJSON(t *testing.T) {
	f := newFixture(t)
	for _, query := range []string{"", "?limit=1", "?source=none"} {
		var fromHandler, fromType map[string]any
		decode(t, f.get(t, "/api/v1/connections"+query), http.StatusOK, &fromHandler)
		values := httptest.NewRequest(http.MethodGet, "/"+query, nil).URL.Query()
		q, err := api.ParseConnectionQuery(values)
		if err != nil {
			t.Fatal(err)
		}
		page, err := f.api.Connections(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(page)
		if err == nil {
			err = json.Unmarshal(text, &fromType)
		}
		if err != nil || fmt.Sprint(fromHandler) != fmt.Sprint(fromType) {
			t.Errorf("%s: %v, want %v, %v", query, fromHandler, fromType, err)
		}
	}
}
