package api_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"smithproxy_exporter/exporter/track"
)

func TestForget(t *testing.T) {
	const path = "/api/v1/proxies/edge%2F1"
	for name, tt := range map[string]struct {
		err      error
		disabled bool
		want     int
	}{
		"forgotten":   {want: http.StatusNoContent},
		"not enabled": {disabled: true, want: http.StatusForbidden},
		"unknown":     {err: track.ErrUnknownProxy, want: http.StatusNotFound},
		"alive":       {err: track.ErrProxySpoke, want: http.StatusConflict},
		"too slow":    {err: context.DeadlineExceeded, want: http.StatusServiceUnavailable},
		"stopped":     {err: errors.New("stopped"), want: http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			asked := ""
			served := newAPI(nil, nil, nil)
			if !tt.disabled {
				served.Forget = func(_ context.Context, source string) error { asked = source; return tt.err }
			}
			handler := handler(served)
			r := httptest.NewRequest(http.MethodDelete, path, nil)
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("the answer is %d %s, want %d", w.Code, w.Body, tt.want)
			}
			if passed := tt.want != http.StatusForbidden; passed != (asked == "edge/1") {
				t.Errorf("it was asked to forget %q", asked)
			}
		})
	}
}
