package collector

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// signatures counts signature matches.
type signatures struct {
	matched *metric
	bounds  *bounds
	limit   *limit
}

func newSignatures(d *definitions, b *bounds) *signatures {
	f := &signatures{bounds: b, matched: d.counter("smithproxy_signatures_total", "matches",
		"Total number of signature matches in stopped connections.", "source", "signature")}
	f.limit = b.limit(f.matched, b.config.MaxValues)
	return f
}

type signatureSeries struct {
	perProxy
	names *limitedLabel[string]
}

func (f *signatures) open(p *proxy, now time.Time) familySeries {
	m := &signatureSeries{perProxy: newPerProxy(p)}
	m.names = limitLabel(&m.perProxy, f.bounds, f.limit, other, now, func(name string, now time.Time) []*series {
		return []*series{f.matched.with(now, m.source, pair("signature", name))}
	})
	m.names.pin(other, now)
	return m
}

func (m *signatureSeries) take(f track.Fact, now time.Time) {
	stopped, ok := f.(track.Stopped)
	if !ok {
		return
	}
	for _, name := range stopped.C.Stop.Signatures {
		m.names.seriesFor(label(name), now)[0].add(1)
	}
}
