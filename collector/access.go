package collector

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"smithproxy_exporter/exporter/track"
)

// access counts the decisions about access-requests, and how long proxies stood still for them.
type access struct {
	requests *prometheus.CounterVec
	dryRuns  *prometheus.CounterVec
	duration *prometheus.HistogramVec

	mu      sync.Mutex // rules come from a reload, sources from facts
	rules   AccessRules
	sources map[string]struct{}
}

// AccessRules are what can be decided, and the rules of which rejects are only counted.
type AccessRules struct {
	Answers []AccessAnswer
	DryRuns []string
}

// AccessAnswer is a rule that can decide, and what it decides.
type AccessAnswer struct{ Verdict, Rule string }

// maxInitialRules is up to how many rules their series begin at 0 for each proxy. With more of them most would
// never be anything else.
const maxInitialRules = 200

// accessBuckets, in seconds: 10 ms costs a proxy nine tenths of its throughput.
var accessBuckets = []float64{.000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .05, .25, 1, 5}

func newAccess(rules AccessRules) *access {
	return &access{
		rules: rules, sources: map[string]struct{}{},
		requests: counter("smithproxy_access_requests_total",
			"Connections that an access-request decided about, by how and by which rule.",
			"source", "verdict", "rule"),
		dryRuns: counter("smithproxy_access_dry_run_rejects_total",
			"Connections that would have been rejected if the rule was not on trial.",
			"source", "rule"),
		duration: histogram("smithproxy_access_request_duration_seconds",
			"From the receipt of an access-request to its answer.",
			accessBuckets, "source"),
	}
}

func (m *access) vectors() []vector { return []vector{m.requests, m.dryRuns, m.duration} }

func (m *access) take(f track.Fact) {
	switch f := f.(type) {
	case track.ProxyAppeared:
		m.appear(label(f.Source))
	case track.ProxyForgotten:
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.sources, label(f.Source))
	case track.Decided:
		m.duration.WithLabelValues(label(f.D.Source)).Observe(f.D.Answered.Sub(f.D.Received).Seconds())
		if !f.Repeat {
			m.count(f.D)
		}
	case track.Recounted:
		m.count(f.D)
	}
}

func (m *access) count(d *track.Decision) {
	source := label(d.Source)
	m.requests.WithLabelValues(source, string(d.Verdict), label(d.Rule)).Inc()
	if d.DryRunRule != "" {
		m.dryRuns.WithLabelValues(source, label(d.DryRunRule)).Inc()
	}
}

func (m *access) appear(source string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sources[source] = struct{}{}
	m.begin(source)
	m.duration.WithLabelValues(source)
}

// use lets the series of other rules begin. Those of rules that are gone stay as they are: what they counted
// happened, and answers that were given before may still be on their way here.
func (m *access) use(rules AccessRules) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.rules = rules
	for source := range m.sources {
		m.begin(source)
	}
}

func (m *access) begin(source string) {
	if len(m.rules.Answers)+len(m.rules.DryRuns) > maxInitialRules {
		return
	}
	for _, a := range m.rules.Answers {
		m.requests.WithLabelValues(source, a.Verdict, label(a.Rule))
	}
	for _, rule := range m.rules.DryRuns {
		m.dryRuns.WithLabelValues(source, label(rule))
	}
}
