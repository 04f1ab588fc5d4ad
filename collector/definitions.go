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

// own are the series that one proxy has in one family; members are made of it.
type own struct {
	source *dto.LabelPair
	fixed  []*series
	capped []cappedLabel
}

type cappedLabel interface {
	sweep(time.Time) (more bool)
	drop()
}

func ownOf(p *proxy) own { return own{source: pair("source", p.label)} }

// series adds a series for as long as the proxy has any in the family.
func (o *own) series(m *metric, now time.Time, labels ...*dto.LabelPair) *series {
	s := m.with(now, append(labels, o.source)...)
	o.fixed = append(o.fixed, s)
	return s
}

func (o *own) sweep(now time.Time) (more bool) {
	for _, c := range o.capped {
		more = c.sweep(now) || more
	}
	return more
}

func (o *own) drop() {
	dropAll(o.fixed)
	for _, c := range o.capped {
		c.drop()
	}
}
