package collector

import (
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// bounds are what keeps the exposition small, and what is seen of that.
type bounds struct {
	options           Options
	limited, distinct *metric
	untracked         map[event.Action]*series
	tracked           *series
}

func newBounds(d *definitions, o Options) *bounds {
	b := &bounds{
		options: o, untracked: map[event.Action]*series{},
		limited: d.counter("smithproxy_exporter_series_limited_total", "increments",
			"Total number of increments counted in _other because the label is at its limit.", "metric"),
		distinct: d.gauge("smithproxy_exporter_distinct_values", "values",
			"Estimated number of distinct values of the metric's limited labels, with a standard error of 2.3 %.", "source", "metric"),
	}
	untracked := d.counter("smithproxy_exporter_events_untracked_total", "events",
		"Total number of events answered and then ignored because proxies.max was reached.", "action")
	for _, action := range actions {
		b.untracked[action] = untracked.with(o.Now(), pair("action", string(action)))
	}
	b.tracked = d.gauge("smithproxy_exporter_proxies", "proxies", "Number of known proxies, at most proxies.max.").with(o.Now())
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

// limit bounds the label values that are first of all those of a metric.
func (b *bounds) limit(of *metric, places int) *limit {
	return &limit{
		places: places, grace: b.options.Grace, expiry: b.options.Expiry,
		limited: b.limited.with(b.options.Now(), pair("metric", of.name)),
	}
}

// capLabel bounds a label, or a few that are one value together, of a proxy.
func capLabel[K comparable](o *own, b *bounds, l *limit, rest K, now time.Time, open func(K, time.Time) []*series) *capped[K] {
	count := o.series(b.distinct, now, l.limited.labels[0])
	c := newCapped(l, count, now, rest, open)
	o.capped = append(o.capped, c)
	return c
}
