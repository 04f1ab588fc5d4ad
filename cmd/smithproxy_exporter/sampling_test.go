package main

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/exporter/config"
)

// traceLabel finds the trace of an exemplar.
var traceLabel = regexp.MustCompile(`trace_id="([0-9a-f]{32})"`)

// exemplars returns the traces of the exemplars of a metric.
func (e *exporter) exemplars(metric string) (traces []string) {
	e.t.Helper()
	request, err := http.NewRequest(http.MethodGet, e.web+"/metrics", nil)
	if err != nil {
		e.t.Fatal(err)
	}
	request.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		e.t.Fatal(err)
	}
	for line := range strings.Lines(e.read(response)) {
		if match := traceLabel.FindStringSubmatch(line); match != nil && strings.HasPrefix(line, metric+"_bucket") {
			traces = append(traces, match[1])
		}
	}
	return traces
}

// lifeOfNth is the n-th connection, with an upload of the given entropy.
func lifeOfNth(n int, entropy float64) (bodies [][]byte) {
	session := fmt.Sprintf("tcp_10.0.0.1:%d+tcp_10.0.0.2:2", 1024+n)
	for _, body := range lifeOf {
		body = strings.Replace(body, "OID-1", fmt.Sprintf("OID-%X", n), 1)
		body = strings.Replace(body, "tcp_10.0.0.1:1+tcp_10.0.0.2:2", session, 1)
		bodies = append(bodies, []byte(strings.Replace(body, `"entropy":1.0`, fmt.Sprintf(`"entropy":%v`, entropy), 1)))
	}
	return bodies
}

// TestExemplarsLeadToTraces keeps few traces: each exemplar is one of them, and what was left out is counted.
func TestExemplarsLeadToTraces(t *testing.T) {
	const connections, special = 200, 20
	backend := newReceiver(t)
	e := startExporter(t, []string{"--otlp.endpoint=http://" + backend.address}, func(c *config.Config) {
		c.Traces.Sampling.Ratio = 0.1
		c.Connections.GracePeriod = time.Second
	})
	for n := range connections {
		entropy := float64(n%7) + 0.1
		if n%(connections/special) == 0 {
			entropy = 7.95
		}
		e.clock.set(e.clock.now().Add(time.Second))
		for _, body := range lifeOfNth(n+1, entropy) {
			e.post(body)
		}
	}
	exemplars := map[string][]string{}
	for _, metric := range []string{"smithproxy_connection_duration_seconds", "smithproxy_payload_entropy_bits"} {
		exemplars[metric] = e.exemplars(metric)
	}
	exposed := parseMetrics(t, e.metrics())
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	sent := map[string]bool{}
	highEntropy := 0
	for _, s := range backend.all() {
		sent[s.traceID()] = true
		if values(s.GetAttributes())["smithproxy.entropy.up"] == 7.95 {
			highEntropy++
			if s.GetTraceState() != "ot=th:0" {
				t.Errorf("the tracestate of a span that is always kept is %s", s.GetTraceState())
			}
		} else if s.GetTraceState() != "ot=th:e6666666666666" {
			t.Errorf("the tracestate of a span that stands for ten is %s", s.GetTraceState())
		}
	}
	if highEntropy != special || len(sent) > connections/2 {
		t.Errorf("%d traces were sent, of which %d have a high entropy, want %d of these", len(sent), highEntropy, special)
	}
	for metric, traces := range exemplars {
		if len(traces) == 0 {
			t.Errorf("%s has no exemplars", metric)
		}
		for _, trace := range traces {
			if !sent[trace] {
				t.Errorf("an exemplar of %s leads to %s, which was not sent", metric, trace)
			}
		}
	}
	kept := exposed.sum("smithproxy_exporter_traces_total") - exposed.sum("smithproxy_exporter_traces_total", "sampling=none")
	if exposed.sum("smithproxy_exporter_traces_total") != connections || kept != float64(len(sent)) {
		t.Errorf("%v traces are counted, %v as kept, and %d were sent", exposed.sum("smithproxy_exporter_traces_total"), kept, len(sent))
	}
}

// TestNoExemplarsWithoutTraces: nobody could find the trace.
func TestNoExemplarsWithoutTraces(t *testing.T) {
	e := startExporter(t, nil, nil)
	e.live()
	e.advance(epoch.Add(time.Hour))
	if traces := e.exemplars("smithproxy_connection_duration_seconds"); len(traces) > 0 {
		t.Errorf("there are exemplars of %v", traces)
	}
}
