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

// Querier looks into the state between two batches of events. What look is given is only valid while it runs, and
// events wait until it returns. When Query returns an error, look does not run any more.
type Querier interface {
	Query(ctx context.Context, look func(*track.Tracker)) error
}

const (
	// maxCalls is how many calls are worked on at once; others wait. It bounds the memory, about 3 MiB a call,
	// and how many looks can come between two batches of events.
	maxCalls = 4
	// callTimeout bounds how long a call waits for its turn and for the state.
	callTimeout = 5 * time.Second
	// writeTimeout is for a client to take the response, which holds nothing but its bytes.
	writeTimeout = 30 * time.Second
)

// API shows connections as JSON: those that are open or closing, and those that finished last.
type API struct {
	State  Querier
	Recent *Recent
	calls  chan struct{}
}

// NewAPI returns the API of the connections in state and recent. It is safe for concurrent use.
func NewAPI(state Querier, recent *Recent) *API {
	return &API{State: state, Recent: recent, calls: make(chan struct{}, maxCalls)}
}

var (
	errBusy     = fmt.Errorf("%d calls are worked on, and none was done within %v", maxCalls, callTimeout)
	errNoState  = errors.New("the state cannot be read now: it is being loaded, or the exporter is overloaded")
	errNotFound = errors.New("no such connection, or it finished too long ago")
)

// list serves /api/v1/connections, a page of connections:
//
//   - The open and closing ones come first, by source and as they became known, then the finished ones, the last
//     one first. The parameters source, client, server, app, state, reason and transport select some of them.
//   - A page has at most limit connections (100 unless given, 1,000 at most). It can be shorter and even empty
//     when there are more: a call looks at 1,600 connections that are not finished at most, which takes the
//     pipeline less than a millisecond, in four looks between batches of events; and a page ends at 1 MiB.
//   - next_cursor, given back as cursor with the same other parameters, continues after the page. Without it there
//     is no more.
//   - Through all pages, a connection that does not change is there exactly once. One that finishes meanwhile can be
//     there as open or closing and once more as finished; one that appears meanwhile can be missing.
func (a *API) list(w http.ResponseWriter, r *http.Request) {
	q, err := newQuery(r.URL.RawQuery)
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
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
	// If it finished since, Recent has it by now.
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

// serve answers with what build returns. A slow client holds nothing but the bytes.
func (a *API) serve(w http.ResponseWriter, r *http.Request, build func(context.Context) ([]byte, error)) {
	body, err := a.limited(r.Context(), build)
	switch {
	case err == nil:
		write(w, http.StatusOK, body)
	case errors.Is(err, errNotFound):
		refuse(w, http.StatusNotFound, err)
	default:
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, err)
	}
}

// limited runs build when it is the call's turn.
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

func refuse(w http.ResponseWriter, status int, err error) {
	body, err := json.MarshalIndent(struct {
		Error string `json:"error"`
	}{err.Error()}, "", "  ")
	if err != nil {
		panic(err) // A string can be encoded.
	}
	write(w, status, append(body, '\n'))
}

func write(w http.ResponseWriter, status int, body []byte) {
	// A writer that knows no deadlines is one of a test.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTimeout))
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // A client that went away has no use for an error.
}
