package main

import (
	"fmt"
	"net/http"
	"testing"

	"smithproxy_exporter/exporter/config"
)

// TestCrowd has more sources than may be: all are answered, and counted.
func TestCrowd(t *testing.T) {
	e := startExporter(t, nil, func(c *config.Config) { c.Proxies.Max = 2 })
	for i := range 5 {
		if status, answer := e.post(fmt.Appendf(nil, `{"action":"ping","type":"proxy","source":"edge-%d"}`, i)); status/100 != 2 {
			t.Fatalf("edge-%d is answered %d, %s", i, status, answer)
		}
	}
	status, answer := e.post([]byte(`{"action":"access-request","type":"proxy","source":"edge-9","id":"x","details":{"session":"tcp_10.0.0.1:1+tcp_10.0.0.2:2","policy":-1}}`))
	if status != http.StatusOK || answer == "{}" {
		t.Errorf("an access-request is answered %d, %s", status, answer)
	}
	m := parseMetrics(t, e.metrics())
	check(t, "up", m.sum("smithproxy_up"), 2)
	check(t, "proxies", m.sum("smithproxy_exporter_proxies"), 2)
	check(t, "untracked pings", m.sum("smithproxy_exporter_events_untracked_total", "action=ping"), 3)
	check(t, "untracked access-requests", m.sum("smithproxy_exporter_events_untracked_total", "action=access-request"), 1)
}
