package collector

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// content counts the payload in connection-content events. The payload itself is not kept.
type content struct{ bytes *metric }

func newContent(d *definitions) *content {
	return &content{d.counter("smithproxy_content_bytes_total", "bytes",
		"Total number of decrypted payload bytes received in connection-content events.", "source", "direction")}
}

type contentSeries struct {
	perProxy
	up, down *series
}

func (f *content) open(p *proxy, now time.Time) familySeries {
	m := &contentSeries{perProxy: newPerProxy(p)}
	m.up = m.series(f.bytes, now, upLabel)
	m.down = m.series(f.bytes, now, downLabel)
	return m
}

func (m *contentSeries) take(f track.Fact, _ time.Time) {
	seen, ok := f.(track.ContentSeen)
	if !ok {
		return
	}
	direction := m.up
	if seen.Side == "R" {
		direction = m.down
	}
	direction.add(float64(seen.Bytes))
}
