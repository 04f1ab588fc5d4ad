package collector

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// content counts the payload that a content profile shows to the exporter. Nothing else of it is kept.
type content struct{ bytes *metric }

func newContent(d *definitions) *content {
	return &content{d.counter("smithproxy_content_bytes_total", "bytes",
		"Total number of decrypted payload bytes received in connection-content events.", "source", "direction")}
}

type contentOf struct {
	own
	up, down *series
}

func (f *content) of(p *proxy, now time.Time) member {
	m := &contentOf{own: ownOf(p)}
	m.up = m.series(f.bytes, now, upLabel)
	m.down = m.series(f.bytes, now, downLabel)
	return m
}

func (m *contentOf) take(f track.Fact, _ time.Time) {
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
