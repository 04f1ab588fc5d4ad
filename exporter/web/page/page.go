// Package page serves the HTML pages of the exporter: what the JSON API returns, for people. The server renders all of it;
// the scripts only add live updates, times of the viewer's time zone, keys and the choice of light or dark.
package page

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"smithproxy_exporter/exporter/web/api"
)

// Data is what the pages show; *api.API in the exporter.
type Data interface {
	Overview(ctx context.Context) (api.Overview, error)
	Connections(ctx context.Context, q api.ConnectionQuery) (api.ConnectionPage, error)
	Connection(ctx context.Context, source, name string) (api.ConnectionDetail, error)
	Access(ctx context.Context) (api.Access, error)
	Try(ctx context.Context, q api.TryRequest) (api.TryResult, error)
	Top(ctx context.Context, q api.TopQuery) (api.Top, error)
	Status(ctx context.Context) (api.Status, error)
	Setup(ctx context.Context) (api.Setup, error)
	Secret(r *http.Request) (api.SetupSecret, error)
	MaySeeSecret(r *http.Request) bool
}

// Options are the options of New.
type Options struct {
	Data        Data
	Version     string
	MetricsPath string
	// Reload reloads the configuration, Forget removes a proxy and all that is known of it. They are nil if that is not
	// allowed over HTTP; then the pages have no buttons for them.
	Reload func(context.Context) error
	Forget func(ctx context.Context, source string) error
	// Now is the clock, time.Now if nil.
	Now func() time.Time
}

// Pages serves the pages. It has no state of its own, and is safe for concurrent use.
type Pages struct {
	Options
	templates map[string]*template.Template
}

// New returns the pages.
func New(o Options) *Pages {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Pages{Options: o, templates: parseTemplates()}
}

// Register adds the pages to mux: /, /overview, /connections, /access, /top, /status, /setup, and what they need below
// /assets/. Metrics take the place of a page with
// the same path; if they are at /, the overview is only at /overview. The caller rejects requests that change something and
// come from another site.
func (p *Pages) Register(mux *http.ServeMux) {
	add := func(pattern string, h http.HandlerFunc) {
		if pattern != "GET "+p.MetricsPath {
			mux.Handle(pattern, secured(h))
		}
	}
	if p.MetricsPath != "/" {
		add("GET /{$}", p.overview)
	}
	add("GET /overview", p.overview)
	add("GET /connections", p.connections)
	add("GET /connections/{source}/{name}", p.connection)
	add("GET /access", p.access)
	add("GET /top", p.top)
	add("GET /status", p.status)
	add("GET /setup", p.setup)
	add("GET /runbooks/{name}", p.runbook)
	add("POST /setup/secret", p.secret)
	if p.Reload != nil {
		add("POST /status/reload", p.reload)
	}
	if p.Forget != nil {
		add("GET /proxies/{source}/forget", p.askForget)
		add("POST /proxies/{source}/forget", p.forget)
	}
	mux.HandleFunc("GET "+assetsPath, serveAsset)
}

// secured sets the headers that keep a page to itself: nothing from elsewhere is loaded or run, nobody else frames it, and
// no cache keeps who talked to whom.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "+
			"connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// writeTimeout bounds how long a client takes to read a page.
const writeTimeout = 30 * time.Second

// yielding is a buffer that yields to other goroutines now and then. With few processors, events would otherwise wait while
// a page is rendered, which takes some milliseconds.
type yielding struct {
	bytes.Buffer
	next int
}

// yieldBytes are rendered in about 0.1 ms.
const yieldBytes = 1 << 10

func (b *yielding) Write(p []byte) (int, error) {
	if b.Len() >= b.next {
		b.next = b.Len() + yieldBytes
		runtime.Gosched()
	}
	return b.Buffer.Write(p)
}

// view is what each template gets.
type view struct {
	// Title is the title of the page, Nav the name of its entry in the navigation.
	Title, Nav string
	Version    string
	Metrics    string
	Now        time.Time
	// Refresh is after how many seconds a script reads the page again, 0 for never.
	Refresh int
	// RefreshPath is what it reads, "" for the address of the page.
	RefreshPath string
	Page        any
}

// render writes a page, or an error page if it cannot be rendered.
func (p *Pages) render(w http.ResponseWriter, status int, name string, v view) {
	v.Version, v.Metrics = p.Version, p.MetricsPath
	if v.Now.IsZero() {
		v.Now = p.Now()
	}
	var b yielding
	if err := p.templates[name].ExecuteTemplate(&b, "layout", v); err != nil {
		http.Error(w, "rendering the page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	// Only writers of tests have no deadlines.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // An error means that the client is gone.
}

// problem is the content of an error page.
type problem struct {
	Heading, Text string
	// Retry tells that the same request may succeed later.
	Retry bool
}

// fail writes an error page.
func (p *Pages) fail(w http.ResponseWriter, nav string, err error) {
	status, shown := http.StatusInternalServerError, problem{Heading: "Something went wrong", Text: err.Error()}
	var input *api.InputError
	switch {
	case errors.As(err, &input):
		status, shown.Heading = http.StatusBadRequest, "The address of this page is not valid"
	case errors.Is(err, api.ErrNotFound):
		status, shown.Heading = http.StatusNotFound, "Not found"
		shown.Text = "There is no such connection. It may have finished so long ago that the history no longer has it."
	case errors.Is(err, api.ErrForbidden):
		status, shown.Heading = http.StatusForbidden, "Not allowed"
	case errors.Is(err, api.ErrNoState):
		status, shown.Heading, shown.Retry = http.StatusServiceUnavailable, "Not ready yet", true
		shown.Text = "The exporter is loading its state, or it is overloaded. Access-requests are answered meanwhile."
	case errors.Is(err, api.ErrNoHistory):
		status, shown.Heading, shown.Retry = http.StatusServiceUnavailable, "The disk does not answer", true
		shown.Text = "Finished connections are on the disk, which does not answer. Open ones can be searched with state:open."
	case errors.Is(err, api.ErrBusy), errors.Is(err, context.DeadlineExceeded):
		status, shown.Heading, shown.Retry = http.StatusServiceUnavailable, "Too many requests", true
		shown.Text = "Too many pages are being read at the same time."
	}
	v := view{Title: shown.Heading, Nav: nav, Page: shown}
	if shown.Retry {
		w.Header().Set("Retry-After", "1")
		v.Refresh = 2
	}
	p.render(w, status, "problem", v)
}
