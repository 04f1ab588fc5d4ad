//go:build e2e

package e2e

import (
	"errors"
	"net/url"
	"testing"
	"time"
)

// series is one result of a query.
type series struct {
	Metric map[string]string `json:"metric"`
	Value  [2]any            `json:"value"`
}

// query asks Prometheus for what an expression gives now.
func (s *servers) query(expr string) ([]series, error) {
	var reply struct {
		Data struct {
			Result []series `json:"result"`
		} `json:"data"`
	}
	err := get("http://"+s.prometheus+"/api/v1/query?"+url.Values{"query": {expr}}.Encode(), &reply)
	return reply.Data.Result, err
}

// names returns the names of all metrics that Prometheus has.
func (s *servers) names() (map[string]bool, error) {
	var reply struct {
		Data []string `json:"data"`
	}
	if err := get("http://"+s.prometheus+"/api/v1/label/__name__/values", &reply); err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, name := range reply.Data {
		names[name] = true
	}
	return names, nil
}

// has waits until an expression gives something.
func (s *servers) has(t *testing.T, expr string) {
	t.Helper()
	eventually(t, 30*time.Second, expr, func() error { return s.some(expr) }, s.processes...)
}

func (s *servers) some(expr string) error {
	found, err := s.query(expr)
	if err == nil && len(found) == 0 {
		err = errors.New("no data")
	}
	return err
}

// spanMetrics holds what the collector made of the spans against what the exporter says that it sent.
func (s *servers) spanMetrics(t *testing.T) {
	s.has(t, `up{job="smithproxy"} == 1`)
	s.has(t, `count(smithproxy_up == 1) == 3`)
	// The spans are counted for those that the exporter left out, too. The two are not scraped at the same moment, and
	// the share of a few hundred traces is not exact.
	s.has(t, `abs(sum(traces_span_metrics_calls_total{span_kind="SPAN_KIND_SERVER"}) / sum(smithproxy_connections_closed_total) - 1) < 0.25`)
	for _, label := range []string{"service_instance_id", "smithproxy_close_reason", "network_transport"} {
		s.has(t, `sum by (`+label+`) (traces_span_metrics_calls_total{`+label+`!="", span_kind="SPAN_KIND_SERVER"})`)
	}
	s.has(t, `histogram_quantile(0.9, sum by (le) (rate(traces_span_metrics_duration_seconds_bucket[1m])))`)
	// The exporter leaves out most, and the collector nothing.
	s.has(t, `sum(otelcol_exporter_sent_spans{exporter="otlp_grpc"}) > 0`)
	s.has(t, `sum(smithproxy_exporter_traces_total{sampling="none"}) > 0.2 * sum(smithproxy_exporter_traces_total)`)
	for _, metric := range []string{"smithproxy_connection_duration_seconds_bucket", "traces_span_metrics_duration_seconds_bucket"} {
		eventually(t, 30*time.Second, metric+" has exemplars", func() error { return s.exemplars(metric) }, s.processes...)
	}
}

// exemplars fails unless a metric has exemplars with the id of a trace.
func (s *servers) exemplars(metric string) error {
	found, err := s.exemplarsOf(metric)
	if err == nil && len(found) == 0 {
		err = errors.New("none")
	}
	return err
}
