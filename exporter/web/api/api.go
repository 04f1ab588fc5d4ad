// Package api reads the state of the exporter for people and scripts: its methods return what the pages show, and its
// handlers serve the same as JSON. docs/api.md describes it.
package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/activity"
	"smithproxy_exporter/exporter/history"
	"smithproxy_exporter/exporter/track"
)

// Querier reads the state between two batches of events. The tracker is only valid while look runs, and events wait
// until it returns. After Query has returned an error, look does not run.
type Querier interface {
	Query(ctx context.Context, look func(*track.Tracker)) error
}

// History has the finished connections. Its methods may hang with the disk.
type History interface {
	// History visits the entries whose number is below before, the newest first, until visit returns false.
	History(before uint64, visit func(number uint64, stored time.Time, entry []byte) (more bool)) error
	// HistoryOf visits the entries of a connection, the newest first. Entries of others can be among them.
	HistoryOf(source, name string, visit func(entry []byte)) error
}

// Options are what an API works with. All of them are set, and safe for concurrent use.
type Options struct {
	State    Querier
	History  History
	Reader   *history.Reader
	Activity *activity.Activity
	// Rules are the access rules.
	Rules *access.Rules
	// System tells about the exporter itself.
	System System
	// TraceURL is the setting page.trace_url.
	TraceURL string
	Now      func() time.Time
}

// System is the state of the parts of the exporter that the page shows, as functions because the parts do not know each
// other. None of them waits.
type System struct {
	Ready      func() bool
	Version    func() Version
	Config     func() (text, file string)
	Reload     func() Reload
	Storage    func() Storage
	History    func() HistoryStatus
	Queue      func() Queue
	Listeners  func() []Listener
	Handshakes func() []Handshake
	// WebhookURL is the URL of the webhook without the secret; Secret is the secret.
	WebhookURL func() string
	Secret     func() (string, error)
	// Authenticated reports whether every request of the web listener has been authenticated.
	Authenticated func() bool
}

// Version is what this exporter is.
type Version struct{ Version, Revision, Go string }

// Handshake is the last failed TLS handshake of a client.
type Handshake struct {
	Client, Reason, Hint string
	At                   time.Time
	Failed               int
}

const (
	// maxCalls bounds concurrent calls; others wait. It bounds memory, about 3 MiB a call, and the number of queries
	// between two batches of events.
	maxCalls = 4
	// callTimeout bounds how long a call waits for others, for the state and for the disk.
	callTimeout = 5 * time.Second
)

// API answers questions about the state of the exporter. It is safe for concurrent use. Its methods wait for their turn
// and for the state; errors are ErrBusy, ErrNoState, ErrNoHistory, ErrNotFound, ErrForbidden, or of type *InputError.
type API struct {
	Options
	started time.Time
	calls   chan struct{}
	// live is held during a query of a search and the pause after it, finished during a search in the history: however many
	// searches there are, the pipeline has at least half of its time for events.
	live, finished chan struct{}
	stream         *hub
}

// New returns an API.
func New(o Options) *API {
	a := &API{
		Options: o, started: o.Now(), calls: make(chan struct{}, maxCalls),
		live: make(chan struct{}, 1), finished: make(chan struct{}, 1),
	}
	a.stream = newHub(o.State, o.Now)
	return a
}

// The errors of an API.
var (
	ErrBusy      = errors.New("too many concurrent requests")
	ErrNoState   = errors.New("the state is not available: it is being loaded, or the exporter is overloaded")
	ErrNoHistory = errors.New("finished connections are not available: the disk does not answer")
	ErrNotFound  = errors.New("no such connection, or it finished too long ago")
	ErrForbidden = errors.New("only for the loopback interface and authenticated users")
)

// limited runs read with at most maxCalls at a time.
func limited[T any](ctx context.Context, a *API, read func(context.Context) (T, error)) (result T, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if !acquire(ctx, a.calls) {
		return result, ErrBusy
	}
	defer func() { <-a.calls }()
	result, err = read(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = ErrNoState
	}
	return result, err
}

// acquire takes a place in a semaphore. It reports false if ctx is done before.
func acquire(ctx context.Context, places chan struct{}) bool {
	select {
	case places <- struct{}{}:
		return true
	default:
	}
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// Sink returns the sink that feeds the stream.
func (a *API) Sink() track.Sink { return a.stream }

// Run sends the stream until ctx is done.
func (a *API) Run(ctx context.Context) { a.stream.run(ctx) }

// route is a route of the JSON API. docs/openapi.yaml describes all of them.
type route struct {
	pattern string
	handle  http.HandlerFunc
}

func (a *API) routes() []route {
	return []route{
		{"GET /api/v1/overview", a.getOverview},
		{"GET /api/v1/connections", a.getConnections},
		{"GET /api/v1/connections/{source}/{name}", a.getConnection},
		{"GET /api/v1/access", a.getAccess},
		{"POST /api/v1/access/try", a.postTry},
		{"GET /api/v1/top", a.getTop},
		{"GET /api/v1/status", a.getStatus},
		{"GET /api/v1/setup", a.getSetup},
		{"POST /api/v1/setup/secret", a.postSecret},
		{"GET /api/v1/stream", a.getStream},
		{"GET /api/v1/runbooks/{name}", a.getRunbook},
		{"GET /api/v1/openapi.yaml", a.getOpenAPI},
	}
}

// Register adds the JSON API to mux, below /api/v1/:
//
//	GET  /api/v1/overview                       Overview
//	GET  /api/v1/connections                    ConnectionPage; with format=csv the same as CSV
//	GET  /api/v1/connections/{source}/{name}    ConnectionDetail
//	GET  /api/v1/access                         Access
//	POST /api/v1/access/try                     TryRequest (JSON or a form) to TryResult
//	GET  /api/v1/top                            Top; parameters dimension, window, order, limit
//	GET  /api/v1/status                         Status
//	GET  /api/v1/setup                          Setup
//	POST /api/v1/setup/secret                   SetupSecret
//	GET  /api/v1/stream                         server-sent events, see stream.go
//	GET  /api/v1/runbooks/{name}                a section of docs/alerts.md, as Markdown
//	GET  /api/v1/openapi.yaml                   the description of all this
//
// Errors are {"error": "…"}, and for an InputError also "field" and "position".
func (a *API) Register(mux *http.ServeMux) {
	for _, r := range a.routes() {
		mux.HandleFunc(r.pattern, r.handle)
	}
}
