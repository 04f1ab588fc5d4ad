package api

import (
	"context"
	"errors"
	"net/http"

	"smithproxy_exporter/exporter/track"
)

var errForgetDisabled = errors.New("forgetting proxies is not enabled: --web.enable-lifecycle")

// deleteProxy serves DELETE /api/v1/proxies/{source}. It answers 204 when the proxy is gone, and 409 if the proxy sent an
// event meanwhile: it would be back at once.
func (a *API) deleteProxy(w http.ResponseWriter, r *http.Request) {
	if a.Forget == nil {
		writeError(w, errForgetDisabled)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), writeTimeout)
	defer cancel()
	switch err := a.Forget(ctx, r.PathValue("source")); {
	case err == nil:
		w.WriteHeader(http.StatusNoContent)
	case errors.Is(err, track.ErrUnknownProxy), errors.Is(err, track.ErrProxySpoke):
		writeError(w, err)
	default:
		writeError(w, ErrNoState)
	}
}
