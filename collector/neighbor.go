package collector

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// neighbors has the metrics of client addresses.
type neighbors struct {
	lastSeen, discovered *metric
	bounds               *bounds
	limit                *limit
}

func newNeighbors(d *definitions, b *bounds) *neighbors {
	f := &neighbors{
		lastSeen: d.gauge("smithproxy_neighbor_last_seen_timestamp_seconds", "seconds",
			"Time at which the proxy last reported the client address as a Unix timestamp.", "source", "address"),
		discovered: d.counter("smithproxy_neighbors_discovered_total", "addresses",
			"Total number of client addresses that the proxy reported as new.", "source"),
		bounds: b,
	}
	f.limit = b.limit(f.lastSeen, b.config.MaxValues)
	return f
}

type neighborSeries struct {
	perProxy
	discovered *series
	addresses  *limitedLabel[string]
}

func (f *neighbors) open(p *proxy, now time.Time) familySeries {
	m := &neighborSeries{perProxy: newPerProxy(p)}
	m.discovered = m.series(f.discovered, now)
	// A timestamp has no useful 0, so _other is not pinned.
	m.addresses = limitLabel(&m.perProxy, f.bounds, f.limit, other, now, func(address string, now time.Time) []*series {
		return []*series{f.lastSeen.with(now, m.source, pair("address", address))}
	})
	return m
}

func (m *neighborSeries) take(f track.Fact, now time.Time) {
	seen, ok := f.(track.NeighborSeen)
	if !ok {
		return
	}
	m.addresses.seriesFor(label(seen.Address), now)[0].set(unixSeconds(seen.At))
	if seen.Discovered {
		m.discovered.add(1)
	}
}
