package page_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"smithproxy_exporter/exporter/web/api"
	"smithproxy_exporter/exporter/web/page"
)

func handler(d *data, change ...func(*page.Options)) http.Handler {
	o := page.Options{Data: d, Version: "1.0.0", MetricsPath: "/metrics", Now: func() time.Time { return now }}
	for _, c := range change {
		c(&o)
	}
	mux := http.NewServeMux()
	page.New(o).Register(mux)
	return mux
}

func withButtons(o *page.Options) {
	o.Reload = func(context.Context) error { return nil }
	o.Forget = func(context.Context, string) error { return nil }
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func post(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil))
	return w
}

// paths are addresses of all pages.
func paths(d *data) []string {
	all := []string{
		"/overview", "/connections", "/proxies/lab/forget", "/connections?q=lost&col=id&col=entropy&col=ja4&col=rule&col=address&col=port",
		"/access", "/access?source=edge-1&session=x&policy=3", "/top", "/top?dimension=sni&window=24h&order=connections", "/status", "/setup", "/runbooks/SmithproxyDown",
	}
	if d.connection.Source != "" {
		all = append(all, connectionPath(d))
	}
	return all
}

func connectionPath(d *data) string {
	return "/connections/" + url.PathEscape(d.connection.Source) + "/" + url.PathEscape(d.connection.Name)
}

// inert checks that a page is well-formed and runs, loads and sends nothing but what it should.
func inert(t *testing.T, body string) {
	t.Helper()
	if strings.Contains(body, "ZgotmplZ") && !strings.Contains(body, "javascript:") {
		t.Error("a value was filtered")
	}
	var open []string
	z := html.NewTokenizer(strings.NewReader(body))
	for {
		kind := z.Next()
		if kind == html.ErrorToken {
			break
		}
		token := z.Token()
		if kind == html.EndTagToken {
			if len(open) == 0 || open[len(open)-1] != token.Data {
				t.Fatalf("</%s> closes %v", token.Data, open)
			}
			open = open[:len(open)-1]
			continue
		}
		if kind == html.StartTagToken && !slices.Contains([]string{"meta", "link", "input", "br"}, token.Data) {
			open = append(open, token.Data)
		}
		checkElement(t, token)
	}
	if len(open) > 0 {
		t.Errorf("%v are not closed", open)
	}
}

func checkElement(t *testing.T, token html.Token) {
	t.Helper()
	if slices.Contains([]string{"img", "iframe", "object", "embed", "base", "style", "template"}, token.Data) {
		t.Errorf("there is a <%s>", token.Data)
	}
	for _, a := range token.Attr {
		switch {
		case strings.HasPrefix(a.Key, "on"), a.Key == "style":
			t.Errorf("<%s> has the attribute %s", token.Data, a.Key)
		case a.Key == "src" && !strings.HasPrefix(a.Val, "/assets/"):
			t.Errorf("<%s> loads %q", token.Data, a.Val)
		case a.Key == "action" && !strings.HasPrefix(a.Val, "/"):
			t.Errorf("a form is sent to %q", a.Val)
		case a.Key == "href" && strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.Val)), "javascript:"):
			t.Errorf("a link runs %q", a.Val)
		}
	}
	if token.Data == "script" && !slices.ContainsFunc(token.Attr, func(a html.Attribute) bool { return a.Key == "src" }) && token.Type == html.StartTagToken {
		t.Error("there is an inline script")
	}
}

func TestPages(t *testing.T) {
	for name, d := range map[string]*data{"empty": empty(), "busy": busy(), "hostile": hostile()} {
		for _, path := range paths(d) {
			t.Run(name+" "+path[:min(len(path), 60)], func(t *testing.T) {
				w := get(handler(d, withButtons), path)
				if w.Code != http.StatusOK {
					t.Fatalf("answered %d: %s", w.Code, w.Body)
				}
				inert(t, w.Body.String())
				policy := w.Header().Get("Content-Security-Policy")
				if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
					t.Errorf("Content-Security-Policy: %s", policy)
				}
				if cache := w.Header().Get("Cache-Control"); cache != "no-store" {
					t.Errorf("Cache-Control: %s", cache)
				}
			})
		}
	}
}

var invisible = regexp.MustCompile(`[\x00-\x08\x0b-\x1f\x7f\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2060}-\x{2069}\x{feff}]`)

// What changes the direction of text, or cannot be seen, is written as its code; in attributes, which nobody sees, it may be
// as it is.
func TestInvisibleCharactersAreShown(t *testing.T) {
	d := hostile()
	for _, path := range paths(d) {
		z := html.NewTokenizer(strings.NewReader(get(handler(d), path).Body.String()))
		for kind := z.Next(); kind != html.ErrorToken; kind = z.Next() {
			if token := z.Token(); kind == html.TextToken && invisible.MatchString(token.Data) {
				t.Errorf("%s: %q", path[:min(len(path), 40)], token.Data)
			}
		}
	}
	if body := get(handler(d), "/connections").Body.String(); !strings.Contains(body, `a\u202eb\u2066c\u200f`) {
		t.Error(`no \u202e in the table`)
	}
}

// A text of 4 kB is cut in tables, and whole on the page of its connection.
func TestLongTextsAreReachable(t *testing.T) {
	d, name := busy(), strings.Repeat("x", 4096)
	d.connection.SNI, d.connections.Connections[0].SNI = name, name
	if strings.Contains(get(handler(d), "/connections").Body.String(), name[:1000]) {
		t.Error("the table has all of it")
	}
	if !strings.Contains(get(handler(d), connectionPath(d)).Body.String(), name) {
		t.Error("the page of the connection does not have it")
	}
}

func TestWeight(t *testing.T) {
	d := busy()
	for _, path := range paths(d) {
		h := handler(d, withButtons)
		body := get(h, path).Body.String()
		weight := len(body)
		for _, name := range []string{"style.css", "theme.js", "main.js", "time.js", "refresh.js", "table.js", "live.js", "row.js", "icon.svg"} {
			w := get(h, asset.FindString(body)+name)
			if w.Code != http.StatusOK || w.Body.Len() == 0 {
				t.Fatalf("%s: %d", name, w.Code)
			}
			weight += w.Body.Len()
		}
		t.Logf("%s: %d bytes", path, weight)
		if weight > 150_000 {
			t.Errorf("%s weighs %d bytes", path, weight)
		}
	}
}

var asset = regexp.MustCompile(`/assets/[0-9a-f]+/`)

func TestAssets(t *testing.T) {
	h := handler(empty())
	dir := asset.FindString(get(h, "/overview").Body.String())
	tests := []struct {
		path, mediaType string
		status          int
	}{
		{dir + "style.css", "text/css; charset=utf-8", http.StatusOK},
		{dir + "main.js", "text/javascript; charset=utf-8", http.StatusOK},
		{dir + "icon.svg", "image/svg+xml", http.StatusOK},
		{dir + "none.js", "", http.StatusNotFound},
		{dir, "", http.StatusNotFound},
		{"/assets/000000000000/main.js", "", http.StatusNotFound},
	}
	for _, tt := range tests {
		w := get(h, tt.path)
		if w.Code != tt.status || tt.mediaType != "" && w.Header().Get("Content-Type") != tt.mediaType {
			t.Errorf("%s: %d %s", tt.path, w.Code, w.Header().Get("Content-Type"))
		}
	}
}

func TestFirstRun(t *testing.T) {
	d := empty()
	if w := get(handler(d), "/"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/setup" {
		t.Errorf("before the first proxy: %d %s", w.Code, w.Header().Get("Location"))
	}
	body := get(handler(d), "/setup").Body.String()
	for _, want := range []string{"Waiting for the first ping", "http://exporter:5000/webhook/SECRET", "Show the secret"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q", want)
		}
	}
	d.overview.Proxies, d.setup.Proxies = []api.Proxy{{Source: "edge-1", State: api.ProxyUnknown}}, 1
	if body := get(handler(d), "/setup").Body.String(); !strings.Contains(body, "have arrived. Waiting for the first ping.") {
		t.Error("nothing about the first event")
	}
	d.overview.Proxies[0] = api.Proxy{Source: "edge-1", State: api.ProxyUp, LastPing: now}
	if body := get(handler(d), "/setup").Body.String(); !strings.Contains(body, `banner good`) {
		t.Error("it does not turn green")
	}
	if w := get(handler(d), "/"); w.Code != http.StatusOK {
		t.Errorf("after the first ping: %d", w.Code)
	}
}

// The secret is shown on a click, and only to those who may see it.
func TestSecret(t *testing.T) {
	d := empty()
	for _, path := range paths(d) {
		if strings.Contains(get(handler(d), path).Body.String(), d.secret) {
			t.Errorf("%s has the secret", path)
		}
	}
	if w := post(handler(d), "/setup/secret"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "/webhook/s3cret") {
		t.Errorf("answered %d", w.Code)
	}
	if w := get(handler(d), "/setup/secret"); w.Code == http.StatusOK {
		t.Error("a GET returns the secret")
	}
	d.secret = ""
	if w := post(handler(d), "/setup/secret"); w.Code != http.StatusForbidden {
		t.Errorf("without permission: answered %d", w.Code)
	}
	if strings.Contains(get(handler(d), "/setup").Body.String(), "Show the secret") {
		t.Error("without permission: the button is there")
	}
}

// Buttons are there, and work, only where they are allowed.
func TestButtons(t *testing.T) {
	var done []string
	options := func(o *page.Options) {
		o.Reload = func(context.Context) error { done = append(done, "reload"); return errors.New("the file is gone") }
		o.Forget = func(_ context.Context, source string) error { done = append(done, "forget "+source); return nil }
	}
	buttons := map[string]string{"/status": "/status/reload", "/proxies/lab/forget": "/proxies/lab/forget"}
	for path, action := range buttons {
		if strings.Contains(get(handler(busy()), path).Body.String(), action) {
			t.Errorf("%s: the button is there", path)
		}
		if w := post(handler(busy()), action); w.Code != http.StatusNotFound && w.Code != http.StatusMethodNotAllowed {
			t.Errorf("%s: answered %d", action, w.Code)
		}
		h := handler(busy(), options)
		if !strings.Contains(get(h, path).Body.String(), `method="post" action="`+action) {
			t.Errorf("%s: no button", path)
		}
		if w := post(h, action); w.Code != http.StatusSeeOther {
			t.Errorf("%s: answered %d", action, w.Code)
		}
	}
	// A proxy that pings would come back at once.
	body := get(handler(busy(), options), "/overview").Body.String()
	if !strings.Contains(body, `href="/proxies/lab/forget"`) || strings.Contains(body, "/proxies/edge-1/forget") {
		t.Error("the overview has not just the link to forget lab")
	}
	slices.Sort(done)
	if !slices.Equal(done, []string{"forget lab", "reload"}) {
		t.Errorf("done: %v", done)
	}
}

// A proxy that sends events while it is being forgotten stays.
func TestNotForgotten(t *testing.T) {
	h := handler(busy(), func(o *page.Options) {
		o.Forget = func(context.Context, string) error { return errors.New("the proxy has sent an event") }
	})
	if w := post(h, "/proxies/lab/forget"); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "the proxy has sent an event") {
		t.Errorf("answered %d", w.Code)
	}
}

func TestErrors(t *testing.T) {
	tests := []struct {
		err    error
		status int
		text   string
	}{
		{api.ErrNoState, http.StatusServiceUnavailable, "loading its state"},
		{api.ErrNoHistory, http.StatusServiceUnavailable, "state:open"},
		{api.ErrBusy, http.StatusServiceUnavailable, "at the same time"},
		{api.ErrNotFound, http.StatusNotFound, "no such connection"},
		{&api.InputError{Field: "window", Position: -1, Err: errors.New("must be one of 5m")}, http.StatusBadRequest, "window: must be one of 5m"},
		{errors.New("a fault"), http.StatusInternalServerError, "a fault"},
	}
	for _, tt := range tests {
		d := busy()
		d.err = tt.err
		for _, path := range []string{"/overview", "/connections", "/connections/a/b", "/access", "/top", "/status", "/setup"} {
			w := get(handler(d), path)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.text) {
				t.Errorf("%s: %v: answered %d %s", path, tt.err, w.Code, w.Body)
			}
			if retry := w.Header().Get("Retry-After"); (retry != "") != (tt.status == http.StatusServiceUnavailable) {
				t.Errorf("%s: %v: Retry-After %q", path, tt.err, retry)
			}
			inert(t, w.Body.String())
		}
	}
}
