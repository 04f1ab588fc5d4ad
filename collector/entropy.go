package collector

import (
	"github.com/prometheus/client_golang/prometheus"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// entropy is what the statistics feature measured of payloads: only where there was any.
type entropy struct {
	bits *prometheus.HistogramVec
	last *prometheus.GaugeVec
	skew *prometheus.HistogramVec
}

// entropyBuckets, in bits per byte: text is around 5, compressed and encrypted data above 7.5, random
// data over a few kB 7.95.
var entropyBuckets = []float64{.5, 1, 2, 3, 4, 4.5, 5, 5.5, 6, 6.5, 7, 7.5, 7.8, 7.9, 8}

// skewBuckets split a ratio that is -1 for uploads only and 1 for downloads only.
var skewBuckets = []float64{-.99, -.9, -.75, -.5, -.25, 0, .25, .5, .75, .9, .99, 1}

func newEntropy() *entropy {
	return &entropy{
		bits: nativeHistogram("smithproxy_payload_entropy_bits",
			"Entropy of the payload of connections, in bits per byte.",
			entropyBuckets, "source", "direction"),
		last: gauge("smithproxy_payload_entropy_last_bits",
			"Entropy of the payload of the connection that was measured last, in bits per byte.",
			"source", "direction"),
		skew: histogram("smithproxy_flow_skew_ratio",
			"(down - up) / (down + up) of the payload bytes of connections.",
			skewBuckets, "source"),
	}
}

func (m *entropy) vectors() []vector { return []vector{m.bits, m.last, m.skew} }

func (m *entropy) take(f track.Fact) {
	switch f := f.(type) {
	case track.ProxyAppeared:
		source := label(f.Source)
		m.bits.WithLabelValues(source, up)
		m.bits.WithLabelValues(source, down)
		m.skew.WithLabelValues(source)
	case track.Profiled:
		source := label(f.C.Source)
		st := f.C.Statistics
		m.measured(source, up, st.Up, f.C)
		m.measured(source, down, st.Down, f.C)
		if st.Skew != nil {
			m.skew.WithLabelValues(source).Observe(*st.Skew)
		}
	}
}

func (m *entropy) measured(source, direction string, e *event.Entropy, c *track.Connection) {
	if e == nil {
		return
	}
	observe(m.bits.WithLabelValues(source, direction), e.Bits, c)
	m.last.WithLabelValues(source, direction).Set(e.Bits)
}
