package collector

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// access counts the decisions about access-requests, and how long proxies stood still for them.
type access struct {
	requests, duration *metric
	rules              []AccessRule
	bounds             *bounds
	limit              *limit
}

// AccessRule is a rule that can decide, and what it decides.
type AccessRule struct{ Verdict, Rule string }

// accessBuckets, in seconds: 10 ms costs a proxy nine tenths of its throughput.
var accessBuckets = []float64{.000025, .00005, .0001, .00025, .0005, .001, .0025, .005, .01, .05, .25, 1, 5}

func newAccess(d *definitions, b *bounds, rules []AccessRule) *access {
	f := &access{
		rules: rules, bounds: b,
		requests: d.counter("smithproxy_access_requests_total", "connections",
			"Connections that an access-request decided about, by how and by which rule.", "source", "verdict", "rule"),
		duration: d.histogram("smithproxy_access_request_duration_seconds", "seconds",
			"From the receipt of an access-request to its answer.", accessBuckets, "source"),
	}
	f.limit = b.limit(f.requests, b.options.MaxValues)
	return f
}

type accessOf struct {
	own
	requests *capped[AccessRule]
	duration *series
}

func (f *access) of(p *proxy, now time.Time) member {
	m := &accessOf{own: ownOf(p)}
	m.duration = m.series(f.duration, now)
	m.requests = capLabel(&m.own, f.bounds, f.limit, AccessRule{other, other}, now, func(r AccessRule, now time.Time) []*series {
		return []*series{f.requests.with(now, m.source, pair("verdict", r.Verdict), pair("rule", r.Rule))}
	})
	for _, r := range f.rules {
		m.requests.pin(r, now)
	}
	return m
}

func (m *accessOf) take(f track.Fact, now time.Time) {
	decided, ok := f.(track.Decided)
	if !ok {
		return
	}
	d := decided.D
	m.duration.histogram.Observe(d.Answered.Sub(d.Received).Seconds())
	if !decided.Repeat {
		m.requests.of(AccessRule{label(string(d.Verdict)), label(d.Rule)}, now)[0].value++
	}
}
