package collector

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// sinkhole counts the payload that proxies discarded.
type sinkhole struct{ bytes *metric }

func newSinkhole(d *definitions) *sinkhole {
	return &sinkhole{
		// Bytes rather than connections: the configuration tells which connections have a sinkhole, only the bytes
		// tell what it stopped.
		bytes: d.counter("smithproxy_sinkhole_bytes_total", "bytes",
			"Total number of payload bytes discarded by sinkholes, by direction.", "source", "direction"),
	}
}

type sinkholeSeries struct {
	perProxy
	up, down *series
}

func (f *sinkhole) open(p *proxy, now time.Time) familySeries {
	m := &sinkholeSeries{perProxy: newPerProxy(p)}
	m.up, m.down = m.series(f.bytes, now, upLabel), m.series(f.bytes, now, downLabel)
	return m
}

func (m *sinkholeSeries) take(f track.Fact, _ time.Time) {
	if p, ok := f.(track.Profiled); ok && p.Sink {
		m.up.add(float64(p.C.Sinkhole.SunkenLeft))
		m.down.add(float64(p.C.Sinkhole.SunkenRight))
	}
}
