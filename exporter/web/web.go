// Package web serves metrics, health, the JSON API and a landing page, on a listener of its own.
package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/pprof"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/gzip"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	toolkit "github.com/prometheus/exporter-toolkit/web"
)

// Options are the options of NewHandler.
type Options struct {
	MetricsPath string
	Version     string
	Gatherer    prometheus.Gatherer
	Registerer  prometheus.Registerer
	API         *API
	// Ready reports whether webhooks are being received.
	Ready func() bool
	// Reload reloads the configuration; nil if that is not enabled over HTTP.
	Reload func(context.Context) error
	// Forget forgets a proxy; nil if that is not enabled.
	Forget func(ctx context.Context, source string) error
	// Profiling serves /debug/pprof/.
	Profiling bool
}

// NewHandler returns the handler of the web listener.
func NewHandler(o Options) (http.Handler, error) {
	landing, err := toolkit.NewLandingPage(toolkit.LandingConfig{
		Name:        "smithproxy_exporter",
		Description: "Prometheus metrics and OpenTelemetry traces of smithproxies",
		Version:     o.Version,
		Profiling:   "false",
		Links: []toolkit.LandingLinks{
			{Address: o.MetricsPath, Text: "Metrics"},
			{Address: "/api/v1/connections", Text: "Connections", Description: "open, closing and recently finished ones, as JSON"},
			{Address: "/-/healthy", Text: "Healthy"},
			{Address: "/-/ready", Text: "Ready"},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("landing page: %w", err)
	}
	// promhttp's own compression takes more than three times as long, for 7 % fewer bytes.
	compressed, err := gzhttp.NewWrapper(gzhttp.CompressionLevel(gzip.BestSpeed), gzhttp.EnableZstd(false),
		gzhttp.ContentTypeFilter(gzhttp.CompressAllContentTypeFilter))
	if err != nil {
		return nil, fmt.Errorf("compression: %w", err)
	}
	mux := http.NewServeMux()
	metrics := promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{EnableOpenMetrics: true, DisableCompression: true, Registry: o.Registerer})
	mux.Handle("GET "+o.MetricsPath, promhttp.InstrumentMetricHandler(o.Registerer, newScrapes().bounded(compressed(metrics))))
	if o.Profiling {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "smithproxy_exporter is healthy.")
	})
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if !o.Ready() {
			http.Error(w, "smithproxy_exporter is not ready: its state is being loaded, or it is shutting down.", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "smithproxy_exporter is ready.")
	})
	mux.HandleFunc("POST /-/reload", o.reload)
	mux.HandleFunc("PUT /-/reload", o.reload)
	mux.Handle("DELETE /api/v1/proxies/{source}", o.forgetHandler())
	mux.HandleFunc("GET /api/v1/connections", o.API.list)
	mux.HandleFunc("GET /api/v1/connections/{source}/{name}", o.API.one)
	if o.MetricsPath != "/" {
		mux.Handle("/", landing)
	}
	return mux, nil
}

// reload responds when the configuration is in force, or with the error.
func (o Options) reload(w http.ResponseWriter, r *http.Request) {
	if o.Reload == nil {
		http.Error(w, "Reloading by HTTP is not enabled: --web.enable-lifecycle.", http.StatusForbidden)
		return
	}
	if err := o.Reload(r.Context()); err != nil {
		http.Error(w, "failed to reload the configuration: "+err.Error(), http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, "The configuration is in force.")
}
