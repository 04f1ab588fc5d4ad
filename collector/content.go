package collector

import (
	"github.com/prometheus/client_golang/prometheus"

	"smithproxy_exporter/exporter/track"
)

// content counts the payload that a content profile shows to the exporter. Nothing else of it is kept.
type content struct{ bytes *prometheus.CounterVec }

func newContent() *content {
	return &content{counter("smithproxy_content_bytes_total",
		"Decrypted payload that connection-content events carried, in bytes.", "source", "direction")}
}

func (m *content) vectors() []vector { return []vector{m.bytes} }

func (m *content) take(f track.Fact) {
	switch f := f.(type) {
	case track.ProxyAppeared:
		m.bytes.WithLabelValues(label(f.Source), up)
		m.bytes.WithLabelValues(label(f.Source), down)
	case track.ContentSeen:
		direction := up
		if f.Side == "R" {
			direction = down
		}
		m.bytes.WithLabelValues(label(f.Source), direction).Add(float64(f.Bytes))
	}
}
