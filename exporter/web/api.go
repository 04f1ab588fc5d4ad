package web

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"

	"smithproxy_exporter/exporter/track"
)

// Querier looks into the state between two events. What look is given is only valid while it runs.
type Querier interface {
	Query(ctx context.Context, look func(*track.Tracker)) error
}

// API shows connections as JSON: the open ones, and those that finished last.
type API struct {
	State  Querier
	Recent *Recent
}

// filter is what the parameters of a request ask for.
type filter struct {
	source, state string // "" is any
	limit         int
}

var errState = errors.New("state must be open, closing or finished")
var errLimit = errors.New("limit must be a number above 0")

func newFilter(r *http.Request) (filter, error) {
	f := filter{source: r.FormValue("source"), state: r.FormValue("state"), limit: math.MaxInt}
	switch f.state {
	case "", stateOpen, stateClosing, stateFinished:
	default:
		return filter{}, errState
	}
	if text := r.FormValue("limit"); text != "" {
		var err error
		if f.limit, err = strconv.Atoi(text); err != nil || f.limit < 1 {
			return filter{}, errLimit
		}
	}
	return f, nil
}

func (f filter) matches(c *track.Connection, finished bool) bool {
	return (f.source == "" || f.source == c.Source) && (f.state == "" || f.state == stateOf(c, finished))
}

// list serves /api/v1/connections: the open connections, and those that finished last. The parameters
// source, state and limit narrow it down.
func (a *API) list(w http.ResponseWriter, r *http.Request) {
	f, err := newFilter(r)
	if err != nil {
		reply(w, http.StatusBadRequest, problem{err.Error()})
		return
	}
	found := []connection{}
	collect := func(finished bool) func(*track.Connection) bool {
		return func(c *track.Connection) bool {
			if f.matches(c, finished) {
				found = append(found, show(c, finished))
			}
			return len(found) < f.limit
		}
	}
	// Both within one look, or a connection that finishes in between would be there twice.
	err = a.State.Query(r.Context(), func(t *track.Tracker) {
		t.Connections(collect(false))
		if len(found) < f.limit {
			a.Recent.Each(collect(true))
		}
	})
	if err != nil {
		reply(w, http.StatusServiceUnavailable, problem{err.Error()})
		return
	}
	reply(w, http.StatusOK, struct {
		Connections []connection `json:"connections"`
	}{found})
}

// one serves /api/v1/connections/{source}/{id}.
func (a *API) one(w http.ResponseWriter, r *http.Request) {
	source, id := r.PathValue("source"), r.PathValue("id")
	var found *connection
	err := a.State.Query(r.Context(), func(t *track.Tracker) {
		if c, ok := t.Connection(source, id); ok {
			v := show(c, false)
			found = &v
			return
		}
		a.Recent.Each(func(c *track.Connection) bool {
			if c.Source == source && c.ID == id {
				v := show(c, true)
				found = &v
			}
			return found == nil
		})
	})
	switch {
	case err != nil:
		reply(w, http.StatusServiceUnavailable, problem{err.Error()})
	case found == nil:
		reply(w, http.StatusNotFound, problem{"no such connection, or it finished too long ago"})
	default:
		reply(w, http.StatusOK, found)
	}
}

type problem struct {
	Error string `json:"error"`
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	// A client that went away has no use for an error.
	_ = encoder.Encode(body)
}
