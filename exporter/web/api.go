package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"smithproxy_exporter/exporter/track"
)

// Querier reads the state between two batches of events. The tracker is only valid while look runs, and events wait
// until it returns. After Query has returned an error, look does not run.
type Querier interface {
	Query(ctx context.Context, look func(*track.Tracker)) error
}

const (
	// maxCalls bounds concurrent calls; others wait. It bounds memory, about 3 MiB a call, and the number of queries
	// between two batches of events.
	maxCalls = 4
	// callTimeout bounds how long a call waits for others and for the state.
	callTimeout = 5 * time.Second
	// writeTimeout bounds how long a client takes to read the response.
	writeTimeout = 30 * time.Second
)

// API serves connections as JSON: open, closing and recently finished ones.
type API struct {
	State  Querier
	Recent *Recent
	calls  chan struct{}
}

// NewAPI returns an API for the connections in state and recent. It is safe for concurrent use.
func NewAPI(state Querier, recent *Recent) *API {
	return &API{State: state, Recent: recent, calls: make(chan struct{}, maxCalls)}
}

var (
	errBusy     = fmt.Errorf("too many concurrent requests: %d are running, and none ended within %v", maxCalls, callTimeout)
	errNoState  = errors.New("the state is not available: it is being loaded, or the exporter is overloaded")
	errNotFound = errors.New("no such connection, or it finished too long ago")
)

// list serves /api/v1/connections, a page of connections:
//
//   - Open and closing connections come first, by source and in the order in which they became known, then finished
//     ones, the latest first. The parameters source, client, server, app, state, reason and transport filter them.
//   - A page has at most limit connections (default 100, maximum 1,000). It can be shorter and even empty if there are
//     more: a call checks at most 1,600 open and closing connections, in four queries between batches of events, which
//     take the pipeline less than a millisecond in all; and a page ends at 1 MiB.
//   - next_cursor, passed as cursor with the same other parameters, continues after the page. The last page has none.
//   - A connection that does not change is on exactly one page. One that finishes meanwhile can be returned as open or
//     closing and again as finished; one that appears meanwhile can be missing.
func (a *API) list(w http.ResponseWriter, r *http.Request) {
	q, err := newQuery(r.URL.RawQuery)
	if err != nil {
		writeError(w, http.StatusBadRequest, err)
		return
	}
	a.serve(w, r, func(ctx context.Context) ([]byte, error) {
		p, err := a.read(ctx, q)
		if err != nil {
			return nil, err
		}
		return p.render()
	})
}

// one serves /api/v1/connections/{source}/{name}. The name is the id, or "<id>#<n>" for the n-th connection of an
// id.
func (a *API) one(w http.ResponseWriter, r *http.Request) {
	source, name := r.PathValue("source"), r.PathValue("name")
	a.serve(w, r, func(ctx context.Context) ([]byte, error) {
		c, err := a.find(ctx, source, name)
		if err != nil {
			return nil, err
		}
		text, err := json.MarshalIndent(show(c), "", "  ")
		return append(text, '\n'), err
	})
}

func (a *API) find(ctx context.Context, source, name string) (found *track.Connection, err error) {
	err = a.State.Query(ctx, func(t *track.Tracker) {
		if c, ok := t.Connection(source, name); ok {
			copied := c.Copy()
			found = &copied
		}
	})
	if err != nil || found != nil {
		return found, err
	}
	// If it has finished since the query, Recent has it by now.
	a.Recent.Each(math.MaxUint64, func(_ uint64, c *track.Connection) bool {
		if c.Source == source && c.Name() == name {
			found = c
		}
		return found == nil
	})
	if found == nil {
		return nil, errNotFound
	}
	return found, nil
}

// serve responds with the result of build. A slow client holds nothing but its bytes.
func (a *API) serve(w http.ResponseWriter, r *http.Request, build func(context.Context) ([]byte, error)) {
	body, err := a.limited(r.Context(), build)
	switch {
	case err == nil:
		write(w, http.StatusOK, body)
	case errors.Is(err, errNotFound):
		writeError(w, http.StatusNotFound, err)
	default:
		w.Header().Set("Retry-After", "1")
		writeError(w, http.StatusServiceUnavailable, err)
	}
}

// limited runs build with at most maxCalls at a time.
func (a *API) limited(ctx context.Context, build func(context.Context) ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	select {
	case a.calls <- struct{}{}:
		defer func() { <-a.calls }()
		body, err := build(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, errNoState
		}
		return body, err
	case <-ctx.Done():
		return nil, errBusy
	}
}

func writeError(w http.ResponseWriter, status int, err error) {
	body, err := json.MarshalIndent(struct {
		Error string `json:"error"`
	}{err.Error()}, "", "  ")
	if err != nil {
		panic(err) // A string can be encoded.
	}
	write(w, status, append(body, '\n'))
}

func write(w http.ResponseWriter, status int, body []byte) {
	// Only writers of tests have no deadlines.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // An error means that the client is gone.
}
