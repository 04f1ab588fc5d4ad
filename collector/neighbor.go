package collector

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// neighbors are the client addresses that the proxies see.
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
	f.limit = b.limit(f.lastSeen, b.options.MaxValues)
	return f
}

type neighborsOf struct {
	own
	discovered *series
	addresses  *capped[string]
}

func (f *neighbors) of(p *proxy, now time.Time) member {
	m := &neighborsOf{own: ownOf(p)}
	m.discovered = m.series(f.discovered, now)
	// A time has no 0 to begin with, so that _other comes with the first address that needs it.
	m.addresses = capLabel(&m.own, f.bounds, f.limit, other, now, func(address string, now time.Time) []*series {
		return []*series{f.lastSeen.with(now, m.source, pair("address", address))}
	})
	return m
}

func (m *neighborsOf) take(f track.Fact, now time.Time) {
	seen, ok := f.(track.NeighborSeen)
	if !ok {
		return
	}
	m.addresses.of(label(seen.Address), now)[0].set(unixSeconds(seen.At))
	if seen.Discovered {
		m.discovered.add(1)
	}
}
