package collector

import (
	"github.com/prometheus/client_golang/prometheus"

	"smithproxy_exporter/exporter/track"
)

// access counts the decisions about access-requests, and how long proxies stood still for them.
type access struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	rules    []AccessRule
}

// AccessRule is a rule that can decide, and what it decides.
type AccessRule struct{ Verdict, Rule string }

// accessBuckets, in seconds: 10 ms costs a proxy nine tenths of its throughput.
var accessBuckets = []float64{.000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .05, .25, 1, 5}

func newAccess(rules []AccessRule) *access {
	return &access{
		rules: rules,
		requests: counter("smithproxy_access_requests_total",
			"Connections that an access-request decided about, by how and by which rule.",
			"source", "verdict", "rule"),
		duration: histogram("smithproxy_access_request_duration_seconds",
			"From the receipt of an access-request to its answer.",
			accessBuckets, "source"),
	}
}

func (m *access) vectors() []vector { return []vector{m.requests, m.duration} }

func (m *access) take(f track.Fact) {
	switch f := f.(type) {
	case track.ProxyAppeared:
		source := label(f.Source)
		for _, r := range m.rules {
			m.requests.WithLabelValues(source, r.Verdict, r.Rule)
		}
		m.duration.WithLabelValues(source)
	case track.Decided:
		source := label(f.D.Source)
		m.duration.WithLabelValues(source).Observe(f.D.Answered.Sub(f.D.Received).Seconds())
		if !f.Repeat {
			m.requests.WithLabelValues(source, string(f.D.Verdict), f.D.Rule).Inc()
		}
	}
}
