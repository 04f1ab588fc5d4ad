package collector

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// sinkhole counts the payload that proxies swallowed.
type sinkhole struct{ bytes, unanswered *metric }

func newSinkhole(d *definitions) *sinkhole {
	return &sinkhole{
		// Bytes, and not connections: that a rule has the feature is known, what it stopped is not.
		bytes: d.counter("smithproxy_sinkhole_bytes_total", "bytes",
			"Total number of payload bytes that sink features swallowed, by direction.", "source", "direction"),
		unanswered: d.counter("smithproxy_access_unanswered_total", "connections",
			"Total number of connections whose proxy reports an access-request without a valid answer.", "source"),
	}
}

type sinkholeOf struct {
	own
	up, down, unanswered *series
}

func (f *sinkhole) of(p *proxy, now time.Time) member {
	m := &sinkholeOf{own: ownOf(p)}
	m.up, m.down = m.series(f.bytes, now, upLabel), m.series(f.bytes, now, downLabel)
	m.unanswered = m.series(f.unanswered, now)
	return m
}

func (m *sinkholeOf) take(f track.Fact, _ time.Time) {
	switch f := f.(type) {
	case track.Profiled:
		if f.Sink {
			m.up.add(float64(f.C.Sinkhole.SunkenLeft))
			m.down.add(float64(f.C.Sinkhole.SunkenRight))
		}
	case track.Finished:
		if f.C.Echo != nil && f.C.Echo.Verdict == "" {
			m.unanswered.add(1)
		}
	}
}
