package collector

import "github.com/prometheus/client_golang/prometheus"

// other is the value that stands for all that have no series of their own.
const other = "_other"

// Limits bound how many values of a label that is fed from the wire have series of their own.
type Limits struct {
	values  int
	limited *prometheus.CounterVec
}

// NewLimits returns limits of so many values for each proxy and label. How often they were applied is
// registered with r.
func NewLimits(r prometheus.Registerer, values int) *Limits {
	l := &Limits{values: values, limited: counter("smithproxy_exporter_series_limited_total",
		"Increments that went to a series of _other, because the label had its number of values for the proxy.",
		"metric")}
	r.MustRegister(l.limited)
	return l
}

// quota is the limit of one label of one family: the first values that are seen of a proxy stay, and
// the rest is in _other. A value never changes sides, so that sums stay exact.
type quota struct {
	values  int
	limited prometheus.Counter
	seen    map[string]map[string]struct{} // by source
}

func (l *Limits) quota(metric string) *quota {
	return &quota{values: l.values, limited: l.limited.WithLabelValues(metric), seen: map[string]map[string]struct{}{}}
}

// admit returns the value to count under: its own, or _other.
func (c *quota) admit(source, value string) string {
	seen, ok := c.seen[source]
	if !ok {
		seen = map[string]struct{}{}
		c.seen[source] = seen
	}
	if _, ok := seen[value]; ok {
		return value
	}
	if len(seen) >= c.values {
		c.limited.Inc()
		return other
	}
	seen[value] = struct{}{}
	return value
}

func (c *quota) forget(source string) { delete(c.seen, source) }
