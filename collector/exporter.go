package collector

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry returns a registry that has the metrics of the process, the Go runtime and the version.
func NewRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newBuildInfo())
	return r
}

// Exporter has the exporter's own metrics, except for those that are counted from facts: see bounds and events. Its
// methods are safe for concurrent use.
type Exporter struct {
	refused          *prometheus.CounterVec
	exported, failed prometheus.Counter
	dropped          *prometheus.CounterVec
	reloadOK         prometheus.Gauge
	reloadAt         prometheus.Gauge
	fallbacks        *prometheus.CounterVec
	accessLists      *accessLists
	connections      *prometheus.CounterVec
	handshakes       *prometheus.CounterVec
	*storeMetrics
}

// ExporterOptions have the label values that start at 0, and access to the store.
type ExporterOptions struct {
	Refusals, Fallbacks, DropReasons     []string
	ConnectionRefusals, HandshakeReasons []string
	Store                                StoreState
	// Connections and BodyBytes are what the webhook listener holds now.
	Connections func() int
	BodyBytes   func() int64
}

// NewExporter returns the exporter's own metrics, registered with r.
func NewExporter(r prometheus.Registerer, o ExporterOptions) *Exporter {
	const prefix = "smithproxy_exporter_"
	e := &Exporter{
		refused: counter(prefix+"events_rejected_total",
			"Total number of webhook requests that were not accepted.", "reason"),
		fallbacks: counter(prefix+"access_requests_defaulted_total",
			"Total number of access-requests answered with the default verdict because the rules could not be asked.", "reason"),
		exported: prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "spans_exported_total",
			Help: "Total number of spans accepted by the tracing backend."}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "spans_failed_total",
			Help: "Total number of spans in failed attempts to send, retries included."}),
		dropped: counter(prefix+"spans_dropped_total",
			"Total number of dropped spans.", "reason"),
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + "config_last_reload_successful",
			Help: "Whether the last attempt to load the configuration succeeded (1) or not (0)."}),
		reloadAt: prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + "config_last_reload_success_timestamp_seconds",
			Help: "Time of the last successful load of the configuration as a Unix timestamp."}),
	}
	e.connections = counter(prefix+"connections_refused_total",
		"Total number of connections to the webhook listener that were refused, or closed for another one.", "reason")
	e.handshakes = counter(prefix+"tls_handshake_errors_total",
		"Total number of failed TLS handshakes on the webhook listener.", "reason")
	r.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + "webhook_connections",
			Help: "Number of open connections to the webhook listener."}, func() float64 { return float64(o.Connections()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: prefix + "webhook_body_bytes",
			Help: "Memory held by large request bodies in bytes."}, func() float64 { return float64(o.BodyBytes()) }),
		e.connections, e.handshakes)
	e.storeMetrics, e.accessLists = newStoreMetrics(r, o.Store), newAccessLists(r)
	r.MustRegister(e.refused, e.fallbacks, e.exported, e.failed, e.dropped, e.reloadOK, e.reloadAt)
	for _, reason := range o.Refusals {
		e.refused.WithLabelValues(reason)
	}
	for _, reason := range o.Fallbacks {
		e.fallbacks.WithLabelValues(reason)
	}
	for _, reason := range o.ConnectionRefusals {
		e.connections.WithLabelValues(reason)
	}
	for _, reason := range o.HandshakeReasons {
		e.handshakes.WithLabelValues(reason)
	}
	for _, reason := range o.DropReasons {
		e.dropped.WithLabelValues(reason)
	}
	return e
}

// Refused counts a webhook request that was not accepted.
func (e *Exporter) Refused(reason string) { e.refused.WithLabelValues(reason).Inc() }

// SpansExported counts spans that the backend accepted.
func (e *Exporter) SpansExported(n int) { e.exported.Add(float64(n)) }

// SpansFailed counts the spans of a failed attempt to send.
func (e *Exporter) SpansFailed(n int) { e.failed.Add(float64(n)) }

// SpansDropped counts dropped spans, by one of ExporterOptions.DropReasons.
func (e *Exporter) SpansDropped(reason string, n int) {
	e.dropped.WithLabelValues(reason).Add(float64(n))
}

// Loaded records that a configuration was loaded at the given time.
func (e *Exporter) Loaded(at time.Time) {
	e.reloadOK.Set(1)
	e.reloadAt.Set(float64(at.UnixNano()) / 1e9)
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

// LoadFailed records that a configuration could not be loaded.
func (e *Exporter) LoadFailed() { e.reloadOK.Set(0) }

// AccessFallback counts an access-request that was answered with the default verdict, for the reason.
func (e *Exporter) AccessFallback(reason string) { e.fallbacks.WithLabelValues(reason).Inc() }

// ConnectionRefused counts a connection to the webhook listener that was refused or closed for another one.
func (e *Exporter) ConnectionRefused(reason string) { e.connections.WithLabelValues(reason).Inc() }

// HandshakeFailed counts a failed TLS handshake on the webhook listener.
func (e *Exporter) HandshakeFailed(reason string) { e.handshakes.WithLabelValues(reason).Inc() }
