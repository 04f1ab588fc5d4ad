package web_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/web"
)

func TestForget(t *testing.T) {
	const path = "/api/v1/proxies/edge%2F1"
	for name, tt := range map[string]struct {
		err      error
		disabled bool
		site     string // Sec-Fetch-Site
		want     int
	}{
		"forgotten":         {want: http.StatusNoContent},
		"from our page":     {site: "same-origin", want: http.StatusNoContent},
		"from another site": {site: "cross-site", want: http.StatusForbidden},
		"from a neighbor":   {site: "same-site", want: http.StatusForbidden},
		"not enabled":       {disabled: true, want: http.StatusForbidden},
		"unknown":           {err: track.ErrUnknownProxy, want: http.StatusNotFound},
		"alive":             {err: track.ErrProxySpoke, want: http.StatusConflict},
		"too slow":          {err: context.DeadlineExceeded, want: http.StatusServiceUnavailable},
		"stopped":           {err: errors.New("stopped"), want: http.StatusServiceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			asked := ""
			registry := prometheus.NewRegistry()
			o := web.Options{
				MetricsPath: "/metrics", Gatherer: registry, Registerer: registry, API: web.NewAPI(nil, nil),
				Forget: func(_ context.Context, source string) error { asked = source; return tt.err },
			}
			if tt.disabled {
				o.Forget = nil
			}
			handler, err := web.NewHandler(o)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodDelete, path, nil)
			if tt.site != "" {
				r.Header.Set("Sec-Fetch-Site", tt.site)
			}
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
