package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// now is whole seconds, as the header Date.
var now = time.Unix(1_795_533_141, 0).UTC()

// exporter is a running one, as its answers describe it.
type exporter struct {
	ready   int
	metrics string
	secret  string
	date    time.Time
}

func (e exporter) serve(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", e.date.UTC().Format(http.TimeFormat))
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	mux.HandleFunc("GET /-/healthy", answer(http.StatusOK, "healthy"))
	mux.HandleFunc("GET /-/ready", answer(e.ready, "ready"))
	mux.HandleFunc("GET /metrics", answer(http.StatusOK, e.metrics))
	mux.HandleFunc("POST /webhook/"+e.secret, answer(http.StatusBadRequest, `{"reason":"missing"}`))
	mux.HandleFunc("POST /webhook/", answer(http.StatusNotFound, `{"reason":"secret"}`))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

func healthyExporter() exporter {
	return exporter{ready: http.StatusOK, secret: "s3cret", date: now, metrics: fmt.Sprintf(`
smithproxy_exporter_build_info{version="1.2.3"} 1
smithproxy_exporter_config_last_reload_successful 1
smithproxy_up{source="edge-1"} 1
smithproxy_last_ping_timestamp_seconds{source="edge-1"} %d
smithproxy_exporter_store_behind 0
smithproxy_exporter_store_bytes 1000
smithproxy_exporter_spans_oldest_pending_age_seconds 2
smithproxy_exporter_spans_dropped_total{reason="full"} 0
`, now.Add(-90*time.Second).Unix())}
}

func healthyOptions() Options {
	return Options{
		MetricsPath: "/metrics", Secrets: []Secret{{Setting: "webhook.secrets[0]", Value: "s3cret"}},
		Configuration: func() error { return nil }, Storage: "/var/lib/exporter", MaxSize: 1 << 30,
		Endpoint: "http://tempo:4317", SendNothing: func(context.Context) error { return nil }, Version: "1.2.3",
		Now: func() time.Time { return now }, Synchronized: func() (bool, error) { return true, nil },
		Free: func(string) (uint64, error) { return 4 << 30, nil },
	}
}

// text returns what Run finds, without the addresses of servers.
func text(t *testing.T, o Options, url string) (string, int) {
	t.Helper()
	var b bytes.Buffer
	wrong, err := Write(&b, Run(t.Context(), o))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(b.String(), url, "URL"), wrong
}

func TestHealthy(t *testing.T) {
	url := healthyExporter().serve(t)
	o := healthyOptions()
	o.Web, o.Webhook = url, url
	const want = `ok       configuration: is valid, with the files that it names
ok       web listener: URL is ready
ok       version: 1.2.3 is running
ok       webhook: URL accepts the secret of webhook.secrets[0]
ok       proxies: edge-1 pinged 1m30s ago
ok       storage: /var/lib/exporter has 4096 MiB free
ok       traces: http://tempo:4317 answers
ok       clock: is synchronized
`
	if got, wrong := text(t, o, url); got != want || wrong != 0 {
		t.Errorf("%d checks found something wrong:\n%s\nwant\n%s", wrong, got, want)
	}
}

// TestSick lets one thing fail at a time, and expects the finding, and how many are wrong.
func TestSick(t *testing.T) {
	replaced := func(old, with string) func(*exporter, *Options) {
		return func(e *exporter, _ *Options) {
			if !strings.Contains(e.metrics, old) {
				t.Fatalf("the metrics lack %q", old)
			}
			e.metrics = strings.Replace(e.metrics, old, with, 1)
		}
	}
	for name, tt := range map[string]struct {
		change func(*exporter, *Options)
		want   string
		wrong  int
	}{
		"configuration": {func(_ *exporter, o *Options) {
			o.Configuration = func() error { return errors.New("a.yml:3: no such field") }
		},
			"WRONG    configuration: a.yml:3: no such field\n", 1},
		"not loaded":  {replaced("reload_successful 1", "reload_successful 0"), "WRONG    configuration: the exporter could not load it", 1},
		"no listener": {func(_ *exporter, o *Options) { o.Web = "http://127.0.0.1:1" }, "WRONG    web listener: nobody listens on http://127.0.0.1:1.", 1},
		"not ready":   {func(e *exporter, _ *Options) { e.ready = http.StatusServiceUnavailable }, "warning  web listener: the exporter is not ready", 0},
		"version":     {func(_ *exporter, o *Options) { o.Version = "1.3.0" }, `warning  version: version "1.2.3" is running, and "1.3.0" is installed`, 0},
		"secret":      {func(e *exporter, _ *Options) { e.secret = "another" }, "WRONG    webhook: URL does not accept the secret of webhook.secrets[0]", 1},
		"unreadable secret": {func(_ *exporter, o *Options) { o.Secrets[0].Err = errors.New("permission denied") },
			"WRONG    webhook: webhook.secrets[0] cannot be read: permission denied", 1},
		"no webhook": {func(_ *exporter, o *Options) { o.Webhook = "http://127.0.0.1:1" }, "WRONG    webhook: nobody listens on http://127.0.0.1:1.", 1},
		"client certificates": {func(_ *exporter, o *Options) { o.ClientCertificates, o.Webhook = true, "http://127.0.0.1:1" },
			"warning  webhook: is not checked, because it asks for client certificates", 0},
		"down": {replaced(`smithproxy_up{source="edge-1"} 1`, `smithproxy_up{source="edge-1"} 0`), "WRONG    proxies: edge-1 last pinged 1m30s ago", 1},
		"no proxy": {func(e *exporter, _ *Options) { e.metrics = `smithproxy_exporter_build_info{version="1.2.3"} 1` + "\n" },
			"WRONG    proxies: none has pinged yet", 1},
		"storage": {func(_ *exporter, o *Options) { o.Free = func(string) (uint64, error) { return 100 << 20, nil } },
			"warning  storage: /var/lib/exporter has 100 MiB free, and the store may grow by 1024 MiB", 0},
		"store":       {replaced("store_behind 0", "store_behind 1"), "WRONG    storage: the disk fails", 1},
		"no endpoint": {func(_ *exporter, o *Options) { o.Endpoint = "" }, "warning  traces: are not sent", 0},
		"endpoint": {func(_ *exporter, o *Options) {
			o.SendNothing = func(context.Context) error { return errors.New("refused") }
		}, "WRONG    traces: http://tempo:4317 does not accept a request without spans: refused", 1},
		"spans wait": {replaced("age_seconds 2", "age_seconds 1200"), "the oldest for 20m0s", 1},
		"dropped":    {replaced(`{reason="full"} 0`, `{reason="full"} 3`), "warning  traces: spans were dropped since the start: full", 0},
		"clock":      {func(e *exporter, _ *Options) { e.date = now.Add(-time.Minute) }, "WRONG    clock: that of the exporter differs by -1m0s", 1},
		"unsynced":   {func(_ *exporter, o *Options) { o.Synchronized = func() (bool, error) { return false, nil } }, "warning  clock: it is not synchronized", 0},
		"clock set back": {func(e *exporter, o *Options) {
			e.date = now.Add(-2 * time.Minute)
			o.Now = func() time.Time { return e.date }
		}, "WRONG    clock: the last ping of edge-1 is 30s in the future", 1},
		"no metrics": {func(e *exporter, _ *Options) { e.metrics = "<html>" }, "WRONG    metrics: ", 1},
	} {
		t.Run(name, func(t *testing.T) {
			e, o := healthyExporter(), healthyOptions()
			tt.change(&e, &o)
			url := e.serve(t)
			if o.Web == "" {
				o.Web = url
			}
			if o.Webhook == "" {
				o.Webhook = url
			}
			got, wrong := text(t, o, url)
			if !strings.Contains(got, tt.want) || wrong != tt.wrong {
				t.Errorf("%d checks found something wrong, want %d, and %q in\n%s", wrong, tt.wrong, tt.want, got)
			}
		})
	}
}

func TestCertificate(t *testing.T) {
	for left, want := range map[time.Duration]Level{-time.Hour: Wrong, 13 * 24 * time.Hour: Warning, 15 * 24 * time.Hour: OK} {
		e := examination{Options: healthyOptions()}
		e.expiry(now.Add(left))
		if len(e.findings) != 1 || e.findings[0].Level != want {
			t.Errorf("a certificate that expires in %v: %v, want %v", left, e.findings, want)
		}
	}
}
