package collector

import (
	"time"

	dto "github.com/prometheus/client_model/go"
)

// definitions are the metrics of all families.
type definitions struct{ metrics []*metric }

func (d *definitions) add(m *metric) *metric {
	d.metrics = append(d.metrics, m)
	return m
}

func (d *definitions) counter(name, unit, help string, labels ...string) *metric {
	return d.add(&metric{name: name, unit: unit, help: help, labels: labels, kind: dto.MetricType_COUNTER})
}

func (d *definitions) gauge(name, unit, help string, labels ...string) *metric {
	return d.add(&metric{name: name, unit: unit, help: help, labels: labels, kind: dto.MetricType_GAUGE})
}

func (d *definitions) histogram(name, unit, help string, buckets []float64, labels ...string) *metric {
	return d.add(&metric{name: name, unit: unit, help: help, labels: labels, kind: dto.MetricType_HISTOGRAM, buckets: buckets})
}

// perProxy has the series of one proxy in one family; each familySeries embeds it.
type perProxy struct {
	source  *dto.LabelPair
	fixed   []*series
	limited []sweeper
}

// sweeper is a limitedLabel of any type of value.
type sweeper interface {
	sweep(time.Time) (more bool)
	drop()
}

func newPerProxy(p *proxy) perProxy { return perProxy{source: pair("source", p.label)} }

// series adds a series for as long as the proxy has any in the family.
func (p *perProxy) series(m *metric, now time.Time, labels ...*dto.LabelPair) *series {
	s := m.with(now, append(labels, p.source)...)
	p.fixed = append(p.fixed, s)
	return s
}

func (p *perProxy) sweep(now time.Time) (more bool) {
	for _, c := range p.limited {
		more = c.sweep(now) || more
	}
	return more
}

func (p *perProxy) drop() {
	dropAll(p.fixed)
	for _, c := range p.limited {
		c.drop()
	}
}
