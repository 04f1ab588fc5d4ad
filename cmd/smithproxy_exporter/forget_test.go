package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/exporter/config"
)

// forget asks the exporter to forget a proxy, and returns the status.
func (e *exporter) forget(source string) int {
	e.t.Helper()
	request, err := http.NewRequest(http.MethodDelete, e.web+"/api/v1/proxies/"+source, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		e.t.Fatal(err)
	}
	e.read(response)
	return response.StatusCode
}

// TestForgetProxy: a proxy that an operator has forgotten leaves no series and no record, and a restart does not bring
// it back.
func TestForgetProxy(t *testing.T) {
	storage := "--storage.path=" + filepath.Join(t.TempDir(), "data")
	e := startLive(t, []string{storage, "--web.enable-lifecycle"}, nil)
	e.post([]byte(pingBody))
	e.post(startBody(1))
	e.live()
	if status := e.forget("edge-2"); status != http.StatusNotFound {
		t.Errorf("the answer for an unknown proxy is %d", status)
	}
	if status := e.forget("edge-1"); status != http.StatusNoContent {
		t.Fatalf("the answer is %d", status)
	}
	series := func(e *exporter) (left []string) {
		for line := range strings.Lines(e.metrics()) {
			if strings.Contains(line, `"edge-1"`) {
				left = append(left, line)
			}
		}
		return left
	}
	if left := series(e); len(left) != 1 || !strings.HasPrefix(left[0], "smithproxy_exporter_proxy_forgotten_timestamp_seconds") {
		t.Errorf("its series are %v", left)
	}
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	e = startLive(t, []string{storage}, nil)
	if left := series(e); len(left) > 0 {
		t.Errorf("a restart brings back %v", left)
	}
	if status := e.forget("edge-1"); status != http.StatusForbidden {
		t.Errorf("the answer without the flag is %d", status)
	}
}

// TestConnectionsOfProxyThatIsDown: the API does not say that they are open, until the proxy lists them.
func TestConnectionsOfProxyThatIsDown(t *testing.T) {
	e := startExporter(t, nil, func(c *config.Config) { c.Proxies.DownTimeout = 0 })
	state := func(want string) {
		t.Helper()
		if _, shown := e.get("/api/v1/connections/edge-1/Proxy-A1-OID-1"); !strings.Contains(shown, `"state": "`+want+`"`) {
			t.Errorf("it is not %s: %s", want, shown)
		}
		for _, other := range []string{"open", "unknown"} {
			_, list := e.get("/api/v1/connections?state=" + other)
			if found := strings.Contains(list, "Proxy-A1-OID-1"); found != (other == want) {
				t.Errorf("it is %s, and listed as %s: %t", want, other, found)
			}
		}
	}
	active := func(want float64) {
		t.Helper()
		if n := parseMetrics(t, e.metrics()).sum("smithproxy_connections_active"); n != want {
			t.Errorf("%v connections are active, want %v", n, want)
		}
	}
	e.post([]byte(pingBody))
	e.post(startBody(1))
	state("open")
	active(1)
	e.advance(epoch.Add(6 * time.Minute))
	state("unknown")
	active(0)
	e.post([]byte(strings.Replace(pingBody, `"Proxy-A1"`, `"Proxy-A1","proxies":["Proxy-A1-OID-1"]`, 1)))
	state("open")
	active(1)
}
