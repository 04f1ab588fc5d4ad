package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/web/api"
)

// finish sends the start, the stop and the info of a connection.
func (e *exporter) finish(id, port string) {
	e.t.Helper()
	label := "tcp_10.77.1.2:" + port + "+tcp_192.0.2.1:443"
	for _, body := range []string{
		`{"action":"connection-start","details":{"info":{"session":"%s"}},"id":"%s","source":"edge","type":"proxy"}`,
		`{"action":"connection-stop","details":{"info":{"session":"%s","bytes_up":10,"bytes_down":20,"policy":0}},"id":"%s","source":"edge","type":"proxy"}`,
		`{"action":"connection-info","details":{"session":"%s"},"id":"%s","source":"edge","type":"proxy"}`,
	} {
		if status, answer := e.post(fmt.Appendf(nil, body, label, id)); status >= 300 {
			e.t.Fatalf("answered %d %s", status, answer)
		}
	}
}

// apiOf decodes a response of the API.
func apiOf[T any](e *exporter, path string) (answer T) {
	e.t.Helper()
	status, body := e.get(path)
	if status != http.StatusOK {
		e.t.Fatalf("%s: answered %d %s", path, status, body)
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		e.t.Fatalf("%s: %v", path, err)
	}
	return answer
}

// Finished connections are there after a restart, and gone after one without history.
func TestFinishedConnectionsSurviveARestart(t *testing.T) {
	storage := "--storage.path=" + t.TempDir()
	list := func(e *exporter) string {
		e.advance(e.clock.now().Add(config.Default().Connections.GracePeriod * 2))
		var names []string
		for _, c := range apiOf[api.ConnectionPage](e, "/api/v1/connections?state=finished").Connections {
			names = append(names, c.Name)
		}
		return strings.Join(names, " ")
	}
	e := startExporter(t, []string{storage}, nil)
	e.finish("Proxy-A1-SID-1", "1001")
	e.finish("Proxy-A1-SID-2", "1002")
	const both = "Proxy-A1-SID-2 Proxy-A1-SID-1"
	if got := list(e); got != both {
		t.Errorf("before the restart: %q", got)
	}
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	e = startExporter(t, []string{storage}, nil)
	if got := list(e); got != both {
		t.Errorf("after it: %q", got)
	}
	if c := apiOf[api.ConnectionDetail](e, "/api/v1/connections/edge/Proxy-A1-SID-1"); c.State != "finished" || len(c.Timeline) < 2 {
		t.Errorf("the first one is %+v", c)
	}
	if s := apiOf[api.Status](e, "/api/v1/status"); !s.History.Enabled || s.History.Connections != 2 {
		t.Errorf("the history is %+v", s.History)
	}
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	e = startExporter(t, []string{storage}, func(c *config.Config) { c.History.MaxAge = 0 })
	e.finish("Proxy-A1-SID-3", "1003")
	if got := list(e); got != "" && got != both { // they are removed in the background
		t.Errorf("without history: %q", got)
	}
}

func TestAPIIsOff(t *testing.T) {
	e := startExporter(t, nil, func(c *config.Config) { c.API.Enabled = false })
	for _, path := range []string{"/api/v1/overview", "/api/v1/connections", "/api/v1/openapi.yaml", "/api/v1/stream"} {
		if status, _ := e.get(path); status != http.StatusNotFound {
			t.Errorf("%s: answered %d", path, status)
		}
	}
	if status, body := e.get("/metrics"); status != http.StatusOK || !strings.Contains(body, "smithproxy_") {
		t.Errorf("/metrics: answered %d", status)
	}
	if status, _ := e.get("/-/healthy"); status != http.StatusOK {
		t.Errorf("/-/healthy: answered %d", status)
	}
}

func TestStatus(t *testing.T) {
	e := startExporter(t, []string{"--web.enable-lifecycle"}, func(c *config.Config) {
		c.OTLP.Headers = map[string]string{"authorization": "Bearer hidden"}
	})
	status, body := e.get("/api/v1/status")
	if status != http.StatusOK || strings.Contains(body, secret) || strings.Contains(body, "hidden") {
		t.Fatalf("answered %d %s", status, body)
	}
	s := apiOf[api.Status](e, "/api/v1/status")
	if !strings.Contains(s.Config, "secret: <secret>") || !strings.Contains(s.Config, "max_age: 1w") || !s.Reload.Enabled || s.Reload.Failed || s.Reload.Last.IsZero() {
		t.Errorf("configuration\n%s\nreload %+v", s.Config, s.Reload)
	}
	if len(s.Listeners) != 2 || s.Listeners[0].Name != "webhook" || s.Listeners[1].Name != "web" || s.Storage.MaxBytes != 1<<30 || s.Storage.Behind {
		t.Errorf("listeners %+v, storage %+v", s.Listeners, s.Storage)
	}
}

func TestOverview(t *testing.T) {
	e := startExporter(t, nil, nil)
	if setup := apiOf[api.Setup](e, "/api/v1/setup"); setup.Proxies != 0 || !strings.HasSuffix(setup.URL, "/webhook/") {
		t.Errorf("setup %+v", setup)
	}
	e.post([]byte(`{"action":"ping","instance":"Proxy-A1","source":"edge","type":"proxy"}`))
	e.finish("Proxy-A1-SID-1", "1001")
	o := apiOf[api.Overview](e, "/api/v1/overview")
	if len(o.Proxies) != 1 || o.Proxies[0].State != api.ProxyUp || o.Proxies[0].Generation != "2026" || o.Proxies[0].Instance != "Proxy-A1" || len(o.Attention) != 0 {
		t.Errorf("overview %+v", o)
	}
	response, err := http.Post(strings.TrimSuffix(e.webhook, secret)+"wrong", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	e.read(response)
	<-e.handled
	e.advance(e.clock.now().Add(config.Default().Proxies.PingTimeout * 2))
	o = apiOf[api.Overview](e, "/api/v1/overview")
	var kinds []string
	for _, a := range o.Attention {
		kinds = append(kinds, a.Kind)
	}
	if strings.Join(kinds, " ") != "proxy_silent webhooks_rejected" || o.Proxies[0].State != api.ProxySilent {
		t.Errorf("attention %+v", o.Attention)
	}
	if top := apiOf[api.Top](e, "/api/v1/top?window=1h"); len(top.Rows) != 1 || top.Rows[0].Value != "10.77.1.2" || top.Rows[0].Bytes() != 30 {
		t.Errorf("top %+v", top)
	}
	// The test runs on the loopback interface.
	secretOf, err := http.Post(e.web+"/api/v1/setup/secret", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if body := e.read(secretOf); !strings.Contains(body, secret) {
		t.Errorf("the secret is answered with %s", body)
	}
}

// Pages of other origins cannot make a browser change something.
func TestOtherOrigins(t *testing.T) {
	e := startExporter(t, []string{"--web.enable-lifecycle"}, nil)
	for _, path := range []string{"/api/v1/access/try", "/api/v1/setup/secret", "/-/reload"} {
		request, err := http.NewRequest(http.MethodPost, e.web+path, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Sec-Fetch-Site", "cross-site")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		e.read(response)
		if response.StatusCode != http.StatusForbidden {
			t.Errorf("%s: answered %s", path, response.Status)
		}
	}
}
