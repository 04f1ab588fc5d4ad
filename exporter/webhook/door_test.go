package webhook_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/webhook"
)

func pingOf(source string) string {
	return fmt.Sprintf(`{"action":"ping","source":%q,"type":"proxy"}`, source)
}

func askOf(source string) string {
	return fmt.Sprintf(`{"action":"access-request","details":{"policy":3,"session":%q},"id":%q,"source":%q,"type":"proxy"}`, label, label, source)
}

// A secret speaks for its sources only, whatever is sent.
func TestSecretsOfSources(t *testing.T) {
	in := &intake{}
	h, refused := newHandlerOf(in, webhook.Config{Secrets: []webhook.Secret{
		{Secret: "all"},
		{Secret: "edge", Sources: []access.Glob{"edge-*"}},
		{Secret: "old", Sources: []access.Glob{"edge-1"}},
		{Secret: "twice", Sources: []access.Glob{"lab"}},
		{Secret: "twice", Sources: []access.Glob{"edge-1"}},
	}}, webhook.DefaultConfig().Limits)
	unknown := func(source string) string { return fmt.Sprintf(`{"action":"reload","source":%q}`, source) }
	brokenAsk := func(source string) string {
		return fmt.Sprintf(`{"action":"access-request","source":%q,"details":[]}`, source)
	}
	for _, tt := range []struct {
		secret, body string
		status       int
		reason       string
	}{
		{"all", pingOf("anything"), 200, ""},
		{"edge", pingOf("edge-7"), 200, ""},
		{"edge", pingOf("lab"), 403, "source"},
		{"edge", pingOf("Edge-7"), 403, "source"},
		{"old", pingOf("edge-1"), 200, ""}, // two secrets of one proxy
		{"edge", pingOf("edge-1"), 200, ""},
		{"old", pingOf("edge-2"), 403, "source"},
		{"twice", pingOf("lab"), 200, ""},
		{"twice", pingOf("edge-1"), 200, ""},
		{"twice", pingOf("edge-2"), 403, "source"},
		{"edge", askOf("edge-7"), 200, ""},
		{"edge", askOf("lab"), 403, "source"},
		{"edge", brokenAsk("edge-7"), 200, "fallback type"},
		{"edge", brokenAsk("lab"), 403, "source"},
		{"edge", `{"action":"access-request"`, 200, "fallback syntax"}, // of no proxy in particular
		{"edge", unknown("edge-7"), 200, ""},
		{"edge", unknown("lab"), 403, "source"},
		{"none", pingOf("edge-1"), 404, "secret"},
		{"", pingOf("edge-1"), 404, "secret"},
	} {
		t.Run(tt.secret+" "+tt.body, func(t *testing.T) {
			before := len(in.events) + len(in.decisions)
			// A decision comes after the answer, and before the return of the handler.
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/webhook/"+tt.secret, strings.NewReader(tt.body)))
			got := answer{w.Code, w.Header(), w.Body.String()}
			if got.status != tt.status {
				t.Errorf("answered %d %s, want %d", got.status, got.body, tt.status)
			}
			if tt.status != http.StatusOK {
				checkRefusal(t, got, tt.status, tt.reason)
				if strings.Contains(got.body, "accept") {
					t.Errorf("answered %s", got.body)
				}
				if after := len(in.events) + len(in.decisions); after != before {
					t.Error("it was taken all the same")
				}
			}
			if tt.reason == "" {
				refused.check(t)
			} else {
				refused.check(t, tt.reason)
			}
		})
	}
}

// What a Door was prepared with is in force for requests that come after, and only if all of it can be.
func TestDoorIsReplaced(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "secret")
	write(t, file, "first\n")
	config := webhook.Config{Secrets: []webhook.Secret{{SecretFile: file}}}
	h, refused := newHandlerOf(&intake{}, config, webhook.DefaultConfig().Limits)
	s := serve(t, h)
	want := func(secret string, status int) {
		t.Helper()
		if got := do(t, s.Client(), request(t, http.MethodPost, s.URL+"/webhook/"+secret, strings.NewReader(ping))); got.status != status {
			t.Errorf("%s: answered %d, want %d", secret, got.status, status)
		}
		if status == http.StatusNotFound {
			refused.check(t, "secret")
		}
	}
	want("first", 200)
	write(t, file, "second\n")
	want("first", 200) // nobody has asked for it yet
	use, err := h.Door.Prepare(config)
	if err != nil {
		t.Fatal(err)
	}
	want("second", 404)
	use()
	want("second", 200)
	want("first", 404)
	write(t, file, "se cret")
	if _, err := h.Door.Prepare(config); err == nil || !strings.Contains(err.Error(), "secrets[0].secret_file: ") || strings.Contains(err.Error(), "cret\n") {
		t.Errorf("error %v", err)
	}
	want("second", 200)
	if files := h.Door.Files(config); len(files) != 1 || files[0] != file {
		t.Errorf("files are %v", files)
	}
}

// The generated secret is read again when its file changes, and stays while the file cannot be read.
func TestGeneratedSecretIsReplaced(t *testing.T) {
	dir := t.TempDir()
	d := webhook.NewDoor(dir, slog.New(slog.DiscardHandler))
	prepare := func() string {
		t.Helper()
		use, err := d.Prepare(webhook.Config{})
		if err != nil {
			t.Fatal(err)
		}
		use()
		secret, _ := d.Generated()
		return secret
	}
	first := prepare()
	if again := prepare(); again != first {
		t.Error("another secret was generated")
	}
	path := webhook.SecretPath(dir)
	if files := d.Files(webhook.Config{}); len(files) != 1 || files[0] != path {
		t.Errorf("files are %v, want %s", files, path)
	}
	write(t, path, "mine\n")
	if got := prepare(); got != "mine" {
		t.Errorf("the secret is %q, want that in the file", got)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := prepare(); got != "mine" {
		t.Errorf("the secret is %q, want the one in use", got)
	}
}

func TestNobodyIsLetInBeforePrepare(t *testing.T) {
	h, refused := newHandler(&intake{})
	h.Door = webhook.NewDoor(t.TempDir(), slog.New(slog.DiscardHandler))
	checkRefusal(t, post(t, serve(t, h), ping), http.StatusNotFound, "secret")
	refused.check(t, "secret")
}

func TestNeedsRestart(t *testing.T) {
	a, b := webhook.DefaultConfig(), webhook.DefaultConfig()
	b.Secrets, b.Allow = []webhook.Secret{{Secret: "a"}}, []access.Network{}
	if got := a.NeedsRestart(b); got != nil {
		t.Errorf("%v, want nothing: a reload changes that", got)
	}
	b.TLS, b.MaxBodySize, b.Limits.Connections = &webhook.TLS{}, 1, 1
	if got := fmt.Sprint(a.NeedsRestart(b)); got != "[webhook.tls webhook.max_body_size webhook.limits]" {
		t.Error(got)
	}
}
