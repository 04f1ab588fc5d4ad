package collector

import (
	"github.com/prometheus/client_golang/prometheus"

	"smithproxy_exporter/exporter/track"
)

// signatures counts what the content of connections matched.
type signatures struct {
	matched *prometheus.CounterVec
	names   *quota
}

func newSignatures(limits *Limits) *signatures {
	const matched = "smithproxy_signatures_total"
	return &signatures{
		matched: counter(matched, "Signatures that stopped connections matched.", "source", "signature"),
		names:   limits.quota(matched),
	}
}

func (m *signatures) vectors() []vector { return []vector{m.matched} }

func (m *signatures) take(f track.Fact) {
	switch f := f.(type) {
	case track.Stopped:
		source := label(f.C.Source)
		for _, s := range f.C.Stop.Signatures {
			m.matched.WithLabelValues(source, m.names.admit(source, label(s))).Inc()
		}
	case track.ProxyForgotten:
		m.names.forget(label(f.Source))
	}
}
