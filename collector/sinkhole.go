package collector

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// sinkhole counts the payload that proxies swallowed.
type sinkhole struct{ bytes *metric }

func newSinkhole(d *definitions) *sinkhole {
	return &sinkhole{
		// Bytes, and not connections: that a rule has the feature is known, what it stopped is not.
		bytes: d.counter("smithproxy_sinkhole_bytes_total", "bytes",
			"Total number of payload bytes discarded by sinkholes, by direction.", "source", "direction"),
	}
}

type sinkholeOf struct {
	own
	up, down *series
}

func (f *sinkhole) of(p *proxy, now time.Time) member {
	m := &sinkholeOf{own: ownOf(p)}
	m.up, m.down = m.series(f.bytes, now, upLabel), m.series(f.bytes, now, downLabel)
	return m
}

func (m *sinkholeOf) take(f track.Fact, _ time.Time) {
	if p, ok := f.(track.Profiled); ok && p.Sink {
		m.up.add(float64(p.C.Sinkhole.SunkenLeft))
		m.down.add(float64(p.C.Sinkhole.SunkenRight))
	}
}
