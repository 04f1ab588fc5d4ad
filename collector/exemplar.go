package collector

import (
	"github.com/prometheus/client_golang/prometheus"

	"smithproxy_exporter/exporter/traceid"
	"smithproxy_exporter/exporter/track"
)

// observe records a value of a connection, with the way to its trace.
func observe(o prometheus.Observer, value float64, c *track.Connection) {
	id := traceid.Of(c.Source, c.ID)
	o.(prometheus.ExemplarObserver).ObserveWithExemplar(value, prometheus.Labels{
		"trace_id": id.TraceString(), "span_id": id.SpanString(),
	})
}
