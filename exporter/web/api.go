package web

import (
	"context"
	"encoding/json"
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

// How many connections one answer holds, unless the parameter limit says otherwise.
const (
	defaultLimit = 1000
	maxLimit     = 10_000
)

// list serves /api/v1/connections. The parameters source and state narrow it down.
func (a *API) list(w http.ResponseWriter, r *http.Request) {
	source, state := r.FormValue("source"), r.FormValue("state")
	switch state {
	case "", stateOpen, stateClosing, stateFinished:
	default:
		reply(w, http.StatusBadRequest, problem{"state must be open, closing or finished"})
		return
	}
	limit := defaultLimit
	if text := r.FormValue("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLimit {
			reply(w, http.StatusBadRequest, problem{"limit must be between 1 and " + strconv.Itoa(maxLimit)})
			return
		}
		limit = n
	}
	found := []connection{}
	collect := func(finished bool) func(*track.Connection) bool {
		return func(c *track.Connection) bool {
			if source == "" || c.Source == source {
				if v := show(c, finished); state == "" || v.State == state {
					found = append(found, v)
				}
			}
			return len(found) < limit
		}
	}
	if state != stateFinished {
		if err := a.State.Query(r.Context(), func(t *track.Tracker) { t.Connections(collect(false)) }); err != nil {
			reply(w, http.StatusServiceUnavailable, problem{err.Error()})
			return
		}
	}
	if (state == "" || state == stateFinished) && len(found) < limit {
		a.Recent.Each(collect(true))
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
		}
	})
	if err != nil {
		reply(w, http.StatusServiceUnavailable, problem{err.Error()})
		return
	}
	if found == nil {
		a.Recent.Each(func(c *track.Connection) bool {
			if c.Source == source && c.ID == id {
				v := show(c, true)
				found = &v
			}
			return found == nil
		})
	}
	if found == nil {
		reply(w, http.StatusNotFound, problem{"no such connection, or it finished too long ago"})
		return
	}
	reply(w, http.StatusOK, found)
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
