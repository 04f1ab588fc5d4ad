package collector

import "github.com/prometheus/client_golang/prometheus"

// AccessDefaults counts access-requests that the rules could not be asked about. It is safe for use by
// many goroutines.
type AccessDefaults struct{ requests *prometheus.CounterVec }

// NewAccessDefaults returns the counter, registered with r. reasons are all that can come.
func NewAccessDefaults(r prometheus.Registerer, reasons []string) *AccessDefaults {
	a := &AccessDefaults{counter("smithproxy_exporter_access_requests_defaulted_total",
		"Total number of access-requests answered with the default verdict because the rules could not be asked.", "reason")}
	r.MustRegister(a.requests)
	for _, reason := range reasons {
		a.requests.WithLabelValues(reason)
	}
	return a
}

// Inc counts an access-request.
func (a *AccessDefaults) Inc(reason string) { a.requests.WithLabelValues(reason).Inc() }
