package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/exporter/traceid"
)

// TestLongConnectionIsReported finds a connection in the backend while it lasts.
func TestLongConnectionIsReported(t *testing.T) {
	backend := newReceiver(t)
	e := startExporter(t, []string{"--otlp.endpoint=http://" + backend.address}, nil)
	e.post(startBody(1))
	e.advance(epoch.Add(6 * time.Minute))
	e.advance(epoch.Add(11 * time.Minute))
	e.advance(epoch.Add(12 * time.Minute))
	e.post(stopBody(1))
	e.advance(epoch.Add(time.Hour))
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	id := traceid.Of("edge-1", "Proxy-A1-OID-1")
	var open []received
	roots := 0
	for _, s := range backend.all() {
		if s.traceID() != id.TraceString() {
			t.Errorf("a span of another trace: %v", s)
		}
		if s.GetName() == "open" {
			open = append(open, s)
		} else if s.parent() == "" {
			roots++
		}
	}
	if len(open) != 2 || roots != 1 {
		t.Fatalf("%d spans while it was open and %d roots, want 2 and 1", len(open), roots)
	}
	for i, age := range []time.Duration{5 * time.Minute, 10 * time.Minute} {
		s := open[i]
		if s.parent() != id.SpanString() || !startOf(s).Equal(epoch) || !endOf(s).Equal(epoch.Add(age)) {
			t.Errorf("span %d is below %s, from %v to %v", i, s.parent(), startOf(s), endOf(s))
		}
		got := values(s.GetAttributes())
		if got["client.address"] != "10.77.1.2" || got["smithproxy.close.reason"] != nil {
			t.Errorf("span %d says %v", i, got)
		}
	}
}

// TestProxyIsAskedForWhatIsOpen starts when a proxy has connections already.
func TestProxyIsAskedForWhatIsOpen(t *testing.T) {
	e := startExporter(t, nil, nil)
	e.post([]byte(strings.Replace(pingBody, `"Proxy-A1"`, `"Proxy-A1","proxies":null`, 1)))
	if status, _ := e.post(stopBody(1)); status != http.StatusAccepted {
		t.Errorf("the first event is answered %d, want %d", status, http.StatusAccepted)
	}
	e.post([]byte(`{"action":"ping","type":"proxy","source":"edge-1","instance":"Proxy-A1","proxies":["Proxy-A1-OID-2"],` +
		`"proxies-plus":["Proxy-A1-OID-2=tcp_10.77.1.9:4711+ssli_10.77.2.2:443"]}`))
	if status, _ := e.post(startBody(3)); status != http.StatusOK {
		t.Errorf("the next event is answered %d, want %d", status, http.StatusOK)
	}
	_, body := e.get("/api/v1/connections/edge-1/Proxy-A1-OID-2")
	for _, want := range []string{`"state": "open"`, `"start_estimated": true`, `"client_address": "10.77.1.9"`} {
		if !strings.Contains(body, want) {
			t.Errorf("what was adopted is %s, want %s", body, want)
		}
	}
	check(t, "active", parseMetrics(t, e.metrics()).sum("smithproxy_connections_active"), 2)
}
