package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/test/loopback"
)

// lifeOf is one connection, from its start to its info.
var lifeOf = []string{
	`{"action":"connection-start","details":{"info":{"session":"tcp_10.0.0.1:1+tcp_10.0.0.2:2"}},"id":"Proxy-A-OID-1","source":"edge-1","type":"proxy"}`,
	`{"action":"connection-stop","details":{"info":{"bytes_down":1,"bytes_up":2,"policy":0,"session":"tcp_10.0.0.1:1+tcp_10.0.0.2:2"}},"id":"Proxy-A-OID-1","source":"edge-1","type":"proxy"}`,
	`{"action":"connection-info","details":{"statistics":{"entropy":{"left":{"bytes_accounted":2,"entropy":1.0}}}},"id":"Proxy-A-OID-1","source":"edge-1","type":"proxy"}`,
}

func (e *exporter) live() {
	e.t.Helper()
	for _, body := range lifeOf {
		if status, answer := e.post([]byte(body)); status/100 != 2 {
			e.t.Fatalf("answered %d %s to %s", status, answer, body)
		}
	}
}

// TestEnvironment configures traces by nothing but the variables of the OpenTelemetry SDK.
func TestEnvironment(t *testing.T) {
	backend := newReceiver(t)
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://" + backend.address,
		"OTEL_SERVICE_NAME":           "edge",
		"OTEL_RESOURCE_ATTRIBUTES":    "deployment.environment.name=lab",
	} {
		t.Setenv(name, value)
	}
	e := startExporter(t, nil, nil)
	e.live()
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	spans := backend.all()
	if len(spans) != 1 {
		t.Fatalf("%d spans, want 1", len(spans))
	}
	for key, want := range map[string]string{
		"service.name": "edge", "deployment.environment.name": "lab",
		"service.instance.id": "edge-1", "host.name": "edge-1",
	} {
		if got := spans[0].resource[key]; got != want {
			t.Errorf("resource %s = %v, want %s", key, got, want)
		}
	}
}

// TestBackendThatIsAway starts while nobody listens at the endpoint, and expects what was seen then to
// arrive once somebody does.
func TestBackendThatIsAway(t *testing.T) {
	address := loopback.Reserve(t)
	e := startLive(t, []string{"--otlp.endpoint=" + address}, func(c *config.Config) {
		c.Connections.GracePeriod = 100 * time.Millisecond
	})
	e.live()
	e.log.await("Failed to send spans, they are kept")
	if n := parseMetrics(t, e.metrics()).sum("smithproxy_exporter_spans_failed_total"); n == 0 {
		t.Error("no span is counted as failed")
	}
	backend := newReceiverAt(t, address)
	backend.await(t, 1)
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	checkTraces(t, backend.all())
}

// TestExemplars follows an exemplar from a histogram to the trace.
func TestExemplars(t *testing.T) {
	e := startExporter(t, []string{"--otlp.endpoint=http://" + newReceiver(t).address}, nil)
	e.live()
	_, shown := e.get("/api/v1/connections/edge-1/Proxy-A-OID-1")
	_, id, _ := strings.Cut(shown, `"trace_id": "`)
	id, _, _ = strings.Cut(id, `"`)
	for _, histogram := range []string{"smithproxy_connection_duration_seconds", "smithproxy_payload_entropy_bits"} {
		if !slices.Contains(e.exemplars(histogram), id) {
			t.Errorf("no exemplar of %s leads to trace %q", histogram, id)
		}
	}
}
