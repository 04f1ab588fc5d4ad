package web

import (
	"context"
	"errors"
	"net/http"

	"smithproxy_exporter/exporter/track"
)

var errForgetDisabled = errors.New("forgetting proxies is not enabled: --web.enable-lifecycle")

// forgetHandler returns the handler of DELETE /api/v1/proxies/{source}. It answers 204 when the proxy is gone, and 409 if
// the proxy sent an event meanwhile: it would be back at once. Browsers may not send the request from other sites.
func (o Options) forgetHandler() http.Handler {
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if o.Forget == nil {
			writeError(w, http.StatusForbidden, errForgetDisabled)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), writeTimeout)
		defer cancel()
		switch err := o.Forget(ctx, r.PathValue("source")); {
		case err == nil:
			w.WriteHeader(http.StatusNoContent)
		case errors.Is(err, track.ErrUnknownProxy):
			writeError(w, http.StatusNotFound, err)
		case errors.Is(err, track.ErrProxySpoke):
			writeError(w, http.StatusConflict, err)
		default:
			writeError(w, http.StatusServiceUnavailable, errNoState)
		}
	}))
}
