package collector

import (
	"maps"
	"slices"
	"time"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/track"
)

// accessRequests has the metrics of access-requests.
type accessRequests struct {
	requests, dryRuns, unanswered, duration *metric
	rules                                   accessRules
	bounds                                  *bounds
	requestLimit, dryRunLimit               *limit
}

// accessRules are the rules in force: the answers that they can give, and the dry-run rules.
type accessRules struct {
	answers []accessAnswer
	dryRuns []string
}

// accessAnswer is a rule and its verdict.
type accessAnswer struct{ verdict, rule string }

func (a accessAnswer) labels() accessAnswer { return accessAnswer{label(a.verdict), label(a.rule)} }

// accessBuckets, in seconds: 10 ms costs a proxy nine tenths of its throughput.
var accessBuckets = []float64{.000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .05, .25, 1, 5}

func newAccessRequests(d *definitions, b *bounds) *accessRequests {
	f := &accessRequests{
		bounds: b,
		requests: d.counter("smithproxy_access_requests_total", "connections",
			"Total number of connections decided by an access-request, by verdict and rule.", "source", "verdict", "rule"),
		dryRuns: d.counter("smithproxy_access_dry_run_rejects_total", "connections",
			"Total number of connections that a dry-run rule would have rejected.", "source", "rule"),
		unanswered: d.counter("smithproxy_access_unanswered_total", "connections",
			"Total number of connections whose proxy reports an access-request without a valid answer.", "source"),
		duration: d.histogram("smithproxy_access_request_duration_seconds", "seconds",
			"Duration from the receipt of an access-request to its answer in seconds.", accessBuckets, "source"),
	}
	f.requestLimit = b.limit(f.requests, b.config.MaxValues)
	f.dryRunLimit = b.limit(f.dryRuns, b.config.MaxValues)
	return f
}

type accessSeries struct {
	perProxy
	requests             *limitedLabel[accessAnswer]
	dryRuns              *limitedLabel[string]
	unanswered, duration *series
	slots                int
}

func (f *accessRequests) open(p *proxy, now time.Time) familySeries {
	m := &accessSeries{perProxy: newPerProxy(p), slots: f.bounds.config.MaxValues}
	m.unanswered, m.duration = m.series(f.unanswered, now), m.series(f.duration, now)
	m.requests = limitLabel(&m.perProxy, f.bounds, f.requestLimit, accessAnswer{other, other}, now, func(a accessAnswer, now time.Time) []*series {
		return []*series{f.requests.with(now, m.source, pair("verdict", a.verdict), pair("rule", a.rule))}
	})
	m.dryRuns = limitLabel(&m.perProxy, f.bounds, f.dryRunLimit, other, now, func(rule string, now time.Time) []*series {
		return []*series{f.dryRuns.with(now, m.source, pair("rule", rule))}
	})
	m.begin(f.rules, now)
	return m
}

// begin starts the series of the rules at 0, unless the rules exceed the limit: most of these series would stay
// at 0.
func (m *accessSeries) begin(rules accessRules, now time.Time) {
	if max(len(rules.answers), len(rules.dryRuns)) > m.slots {
		return
	}
	for _, a := range rules.answers {
		m.requests.pin(a.labels(), now)
	}
	for _, rule := range rules.dryRuns {
		m.dryRuns.pin(label(rule), now)
	}
}

// end lets the series of the rules expire. Decisions by these rules can still arrive.
func (m *accessSeries) end(rules accessRules, now time.Time) {
	for _, a := range rules.answers {
		m.requests.unpin(a.labels(), now)
	}
	for _, rule := range rules.dryRuns {
		m.dryRuns.unpin(label(rule), now)
	}
}

func (m *accessSeries) take(f track.Fact, now time.Time) {
	switch f := f.(type) {
	case track.Decided:
		if !f.Corrected {
			m.duration.histogram.Observe(f.D.Answered.Sub(f.D.Received).Seconds())
		}
		if !f.Repeat {
			m.count(f.D, now)
		}
	case track.Finished:
		m.echoed(f.C)
	case track.Late:
		m.echoed(f.C)
	}
}

// echoed counts a connection of which the proxy echoes an access-request without a valid answer.
func (m *accessSeries) echoed(c *track.Connection) {
	if c.Echo != nil && c.Echo.Verdict == "" {
		m.unanswered.add(1)
	}
}

func (m *accessSeries) count(d *track.Decision, now time.Time) {
	m.requests.seriesFor(accessAnswer{string(d.Verdict), d.Rule}.labels(), now)[0].add(1)
	if d.DryRunRule != "" {
		m.dryRuns.seriesFor(label(d.DryRunRule), now)[0].add(1)
	}
}

// UseAccessRules starts the series of the rules that are in force from now on, and lets those of the previous rules
// expire. It changes the series of one proxy at a time, and lets facts in between.
func (s *Sink) UseAccessRules(set *access.Set) {
	answers, dryRuns := set.Answers()
	rules := accessRules{dryRuns: dryRuns}
	for _, a := range answers {
		rules.answers = append(rules.answers, accessAnswer{verdict: string(a.Verdict), rule: a.Rule})
	}
	s.useAccessRules(rules)
}

func (s *Sink) useAccessRules(rules accessRules) {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	before := s.accessRequests.rules
	s.accessRequests.rules = rules // in force for proxies that appear
	proxies := slices.Collect(maps.Values(s.byLabel))
	s.mu.Unlock()
	for _, p := range proxies {
		s.mu.Lock()
		now := s.now()
		for _, m := range p.expiring {
			// A proxy that was forgotten meanwhile has no series to be changed.
			if m, ok := m.(*accessSeries); ok && s.byLabel[p.label] == p {
				m.end(before, now)
				m.begin(rules, now)
			}
		}
		s.mu.Unlock()
	}
}
