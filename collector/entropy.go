package collector

import (
	"time"

	dto "github.com/prometheus/client_model/go"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// entropy has the results of the statistics feature. Connections without payload have none.
type entropy struct {
	bits, last, skew *metric
	expiry           time.Duration
}

// entropyBuckets, in bits per byte: text is around 5, compressed and encrypted data above 7.5, random
// data over a few kB 7.95.
var entropyBuckets = []float64{.5, 1, 2, 3, 4, 4.5, 5, 5.5, 6, 6.5, 7, 7.5, 7.8, 7.9, 8}

// skewBuckets split a ratio that is -1 for uploads only and 1 for downloads only.
var skewBuckets = []float64{-.99, -.9, -.75, -.5, -.25, 0, .25, .5, .75, .9, .99, 1}

func newEntropy(d *definitions, expiry time.Duration) *entropy {
	return &entropy{
		bits: d.histogram("smithproxy_payload_entropy_bits", "bits",
			"Entropy of the payload of a connection in bits per byte.", entropyBuckets, "source", "direction"),
		last: d.gauge("smithproxy_payload_entropy_last_bits", "bits",
			"Entropy of the payload of the last measured connection in bits per byte.", "source", "direction"),
		skew: d.histogram("smithproxy_flow_skew_ratio", "ratio",
			"Ratio (down - up) / (down + up) of the payload bytes of a connection.", skewBuckets, "source"),
		expiry: expiry,
	}
}

type entropySeries struct {
	perProxy
	family   *entropy
	up, down direction
	skew     *series
}

// direction has the series of one direction.
type direction struct {
	label *dto.LabelPair
	bits  *series
	last  *series // nil without a measurement within the expiry
	at    time.Time
}

func (f *entropy) open(p *proxy, now time.Time) familySeries {
	m := &entropySeries{perProxy: newPerProxy(p), family: f}
	m.up = direction{label: upLabel, bits: m.series(f.bits, now, upLabel)}
	m.down = direction{label: downLabel, bits: m.series(f.bits, now, downLabel)}
	m.skew = m.series(f.skew, now)
	return m
}

func (m *entropySeries) take(f track.Fact, now time.Time) {
	switch f := f.(type) {
	case track.Profiled:
		if f.Statistics {
			m.profiled(f.C.Statistics, now)
		}
	case track.Finished:
		if st := f.C.Statistics; st != nil && !f.C.Unsampled {
			m.up.offer(st.Up, f.C, now)
			m.down.offer(st.Down, f.C, now)
		}
	}
}

func (m *entropySeries) profiled(st *event.Statistics, now time.Time) {
	m.measured(&m.up, st.Up, now)
	m.measured(&m.down, st.Down, now)
	if st.Skew != nil {
		m.skew.histogram.Observe(*st.Skew)
	}
}

// offer offers the connection with a measurement as an exemplar.
func (d *direction) offer(e *event.Entropy, c *track.Connection, now time.Time) {
	if e != nil {
		d.bits.histogram.offer(e.Bits, c, now)
	}
}

func (m *entropySeries) measured(d *direction, e *event.Entropy, now time.Time) {
	if e == nil {
		return
	}
	d.bits.histogram.Observe(e.Bits)
	if d.last == nil {
		d.last = m.family.last.with(now, m.source, d.label)
	}
	d.last.set(e.Bits)
	d.at = now
}

func (m *entropySeries) sweep(now time.Time) (more bool) {
	for _, d := range []*direction{&m.up, &m.down} {
		if d.last != nil && now.Sub(d.at) >= m.family.expiry {
			d.last.drop()
			d.last = nil
		}
	}
	return m.perProxy.sweep(now)
}

func (m *entropySeries) drop() {
	for _, d := range []direction{m.up, m.down} {
		if d.last != nil {
			d.last.drop()
		}
	}
	m.perProxy.drop()
}
