package collector

import (
	"time"
)

const (
	// forgottenFor is how long a forgotten proxy is exposed: longer than the alerts' recording rules look back, and than
	// any scrape interval.
	forgottenFor = 2 * time.Hour
	// maxForgotten bounds the forgotten proxies that are exposed.
	maxForgotten = 1000
)

// forgotten exposes the proxies that an operator had forgotten, so that no alert misses them.
type forgotten struct {
	at     *metric
	series map[string]forgottenSeries // by label value
}

type forgottenSeries struct {
	*series
	since time.Time
}

func newForgotten(d *definitions) *forgotten {
	return &forgotten{
		at: d.gauge("smithproxy_exporter_proxy_forgotten_timestamp_seconds", "seconds",
			"Time at which an operator had the proxy forgotten as a Unix timestamp, for two hours or until it is back.", "source"),
		series: map[string]forgottenSeries{},
	}
}

func (f *forgotten) add(source string, now time.Time) {
	f.remove(source)
	if len(f.series) >= maxForgotten {
		return
	}
	s := forgottenSeries{f.at.with(now, pair("source", source)), now}
	s.set(unixSeconds(now))
	f.series[source] = s
}

func (f *forgotten) remove(source string) {
	if s, ok := f.series[source]; ok {
		s.drop()
		delete(f.series, source)
	}
}

func (f *forgotten) sweep(now time.Time) {
	for source, s := range f.series {
		if now.Sub(s.since) >= forgottenFor {
			f.remove(source)
		}
	}
}
