// Package page serves the HTML pages of the exporter: what the JSON API returns, for people. The server renders all of it;
// the scripts only add live updates, times of the viewer's time zone, keys and the choice of light or dark.
package page

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"net/http"
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

// Options are the options of Register.
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

// pages serves the pages. It has no state of its own.
type pages struct {
	Options
	templates map[string]*template.Template
}

// Register adds the pages to mux: /, /connections, /access, /top, /status, /setup, and what they need below /assets/. If
// metrics are at /, the overview is only at /overview.
func Register(mux *http.ServeMux, o Options) {
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &pages{Options: o, templates: parseTemplates()}
	get := func(pattern string, h func(http.ResponseWriter, *http.Request)) {
		mux.Handle("GET "+pattern, secured(http.HandlerFunc(h)))
	}
	// A form of another site must not change anything.
	protection := http.NewCrossOriginProtection()
	post := func(pattern string, h func(http.ResponseWriter, *http.Request)) {
		mux.Handle("POST "+pattern, secured(protection.Handler(http.HandlerFunc(h))))
	}
	if o.MetricsPath != "/" {
		get("/{$}", p.overview)
	}
	get("/overview", p.overview)
	get("/connections", p.connections)
	get("/connections/{source}/{name}", p.connection)
	get("/access", p.access)
	get("/top", p.top)
	get("/status", p.status)
	get("/setup", p.setup)
	post("/setup/secret", p.secret)
	if o.Reload != nil {
		post("/status/reload", p.reload)
	}
	if o.Forget != nil {
		get("/proxies/{source}/forget", p.askForget)
		post("/proxies/{source}/forget", p.forget)
	}
	mux.Handle("GET "+assetsPath, http.HandlerFunc(serveAsset))
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
func (p *pages) render(w http.ResponseWriter, status int, name string, v view) {
	v.Version, v.Metrics = p.Version, p.MetricsPath
	if v.Now.IsZero() {
		v.Now = p.Now()
	}
	var b bytes.Buffer
	if err := p.templates[name].ExecuteTemplate(&b, "layout", v); err != nil {
		http.Error(w, "rendering the page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
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
func (p *pages) fail(w http.ResponseWriter, nav string, err error) {
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
