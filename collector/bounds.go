package collector

import (
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// bounds limit the size of the exposition, and count what the limits cost.
type bounds struct {
	config               Config
	now                  func() time.Time
	limited, cardinality *metric
	untracked            map[event.Action]*series
	tracked              *series
}

func newBounds(d *definitions, c Config, now func() time.Time) *bounds {
	b := &bounds{
		config: c, now: now, untracked: map[event.Action]*series{},
		limited: d.counter("smithproxy_exporter_series_limited_total", "increments",
			"Total number of increments counted in _other because the label is at its limit.", "metric"),
		cardinality: d.gauge("smithproxy_exporter_distinct_values", "values",
			"Estimated number of distinct values of the metric's limited labels, with a standard error of 2.3 %.", "source", "metric"),
	}
	untracked := d.counter("smithproxy_exporter_events_untracked_total", "events",
		"Total number of events answered and then ignored because proxies.max was reached.", "action")
	for _, action := range actions {
		b.untracked[action] = untracked.with(now(), pair("action", string(action)))
	}
	b.tracked = d.gauge("smithproxy_exporter_proxies", "proxies", "Number of known proxies, at most proxies.max.").with(now())
	return b
}

func (b *bounds) take(f track.Fact) {
	switch f := f.(type) {
	case track.ProxyAppeared:
		b.tracked.add(1)
	case track.ProxyForgotten:
		b.tracked.add(-1)
	case track.Received:
		if f.Outcome == track.Untracked {
			b.untracked[f.Action].add(1)
		}
	}
}

// limit returns the limit for a label. of is the metric that the limit is reported under.
func (b *bounds) limit(of *metric, slots int) *limit {
	return &limit{
		slots: slots, grace: b.config.Grace, expiry: b.config.Expiry,
		limited: b.limited.with(b.now(), pair("metric", of.name)),
	}
}

// limitLabel adds a limited label to the series of a proxy. overflow is the value for all others, and open makes
// the series of a value.
func limitLabel[K comparable](p *perProxy, b *bounds, l *limit, overflow K, now time.Time, open func(K, time.Time) []*series) *limitedLabel[K] {
	count := p.series(b.cardinality, now, l.limited.labels[0])
	c := newLimitedLabel(l, count, now, overflow, open)
	p.limited = append(p.limited, c)
	return c
}
