// Package api reads the state of the exporter for people and scripts: its methods return what the pages show, and its
// handlers serve the same as JSON. docs/api.md describes it.
package api

import (
	"context"
	"errors"
	"net/http"
	"net/url"
)

// API answers questions about the state of the exporter. It is safe for concurrent use. Its methods wait for their turn
// and for the state; errors are ErrBusy, ErrNoState, ErrNotFound, ErrForbidden, or of type *InputError.
type API struct{}

// The errors of an API.
var (
	ErrBusy      = errors.New("too many concurrent requests")
	ErrNoState   = errors.New("the state is not available: it is being loaded, or the exporter is overloaded")
	ErrNotFound  = errors.New("no such connection, or it finished too long ago")
	ErrForbidden = errors.New("only for the loopback interface and authenticated users")
)

var errTodo = errors.New("not implemented")

// Overview returns the state of all proxies, and what needs attention.
func (a *API) Overview(ctx context.Context) (Overview, error) { return Overview{}, errTodo }

// ConnectionQuery is a parsed search.
type ConnectionQuery struct{ limit int }

// ParseConnectionQuery parses the parameters of /api/v1/connections: q, its shorthands, limit and cursor. Parameters that
// it does not know are an error. The error is of type *InputError.
func ParseConnectionQuery(values url.Values) (ConnectionQuery, error) {
	return ConnectionQuery{}, errTodo
}

// Connections returns a page of the connections that match. It returns after some 200 ms at the latest, with what it has
// found until then.
func (a *API) Connections(ctx context.Context, q ConnectionQuery) (ConnectionPage, error) {
	return ConnectionPage{}, errTodo
}

// Connection returns a connection by its Name.
func (a *API) Connection(ctx context.Context, source, name string) (ConnectionDetail, error) {
	return ConnectionDetail{}, errTodo
}

// Access returns the access rules, lists, and recent decisions.
func (a *API) Access(ctx context.Context) (Access, error) { return Access{}, errTodo }

// Try returns how the access rules answer a request. It changes and counts nothing.
func (a *API) Try(ctx context.Context, q TryRequest) (TryResult, error) { return TryResult{}, errTodo }

// Top returns a table of the clients, servers, SNIs or applications with the most traffic.
func (a *API) Top(ctx context.Context, q TopQuery) (Top, error) { return Top{}, errTodo }

// Status returns the state of the exporter itself.
func (a *API) Status(ctx context.Context) (Status, error) { return Status{}, errTodo }

// Setup returns what a new proxy needs to know, without the secret.
func (a *API) Setup(ctx context.Context) (Setup, error) { return Setup{}, errTodo }

// Secret returns the webhook secret, if the request comes from the loopback interface without a proxy between, or from an
// authenticated user. Else it returns ErrForbidden.
func (a *API) Secret(r *http.Request) (SetupSecret, error) { return SetupSecret{}, errTodo }

// MaySeeSecret reports whether Secret would return the secret, so that a page can leave out the button.
func (a *API) MaySeeSecret(r *http.Request) bool { return false }

// Register adds the JSON API to mux, below /api/v1/:
//
//	GET  /api/v1/overview                       Overview
//	GET  /api/v1/connections                    ConnectionPage; with format=csv the same as CSV
//	GET  /api/v1/connections/{source}/{name}    ConnectionDetail
//	GET  /api/v1/access                         Access
//	POST /api/v1/access/try                     TryRequest (JSON or a form) to TryResult
//	GET  /api/v1/top                            Top; parameters dimension, window, order, source, limit
//	GET  /api/v1/status                         Status
//	GET  /api/v1/setup                          Setup
//	POST /api/v1/setup/secret                   SetupSecret
//	GET  /api/v1/stream                         server-sent events, see Stream
//	GET  /api/v1/openapi.yaml                   the description of all this
//
// Errors are {"error": "…"}, and for an InputError also "field" and "position".
func (a *API) Register(mux *http.ServeMux) {}
