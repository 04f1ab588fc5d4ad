// Package collector turns facts into Prometheus metrics: a file a family, or a few that belong
// together. Names and labels are what users build dashboards on; they change only with the contract.
package collector

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"smithproxy_exporter/exporter/track"
)

// family is a group of metrics that the same facts move. take is called from one goroutine, while
// scrapes go on in others.
type family interface {
	take(track.Fact)
	vectors() []vector
}

// vector is what all families are made of.
type vector interface {
	prometheus.Collector
	DeletePartialMatch(prometheus.Labels) int
}

// Sink feeds facts to the families.
type Sink struct {
	families []family
	access   *access
}

// New returns a sink whose metrics are registered with r.
func New(r prometheus.Registerer, limits *Limits, rules AccessRules) *Sink {
	access := newAccess(rules)
	s := &Sink{access: access, families: []family{
		newLiveness(),
		newNeighbors(limits),
		newEvents(),
		newConnections(limits),
		newApplications(limits),
		newServerNames(limits),
		newSignatures(limits),
		newEntropy(),
		access,
		newContent(),
	}}
	for _, f := range s.families {
		for _, v := range f.vectors() {
			r.MustRegister(v)
		}
	}
	return s
}

// UseAccessRules says that other rules decide from now on. It may be called while Take is.
func (s *Sink) UseAccessRules(rules AccessRules) { s.access.use(rules) }

// Take moves the metrics that a fact is about.
func (s *Sink) Take(f track.Fact) {
	for _, m := range s.families {
		m.take(f)
	}
	if gone, ok := f.(track.ProxyForgotten); ok {
		s.forget(gone.Source)
	}
}

// forget removes every series of a proxy.
func (s *Sink) forget(source string) {
	of := prometheus.Labels{"source": label(source)}
	for _, m := range s.families {
		for _, v := range m.vectors() {
			v.DeletePartialMatch(of)
		}
	}
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

// nativeHistogram has native buckets, which grow by a tenth, besides the classic ones. There are 100 of
// them at the most: beyond that they widen, or begin anew when the last time is an hour ago.
func nativeHistogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}, labels)
}
