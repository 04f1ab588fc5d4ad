package main

import (
	"bytes"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"smithproxy_exporter/exporter/config"
)

// TestInstallation sets an exporter up by its commands, starts it with the configuration that setup wrote, and lets the doctor
// look at it before and after it stops.
func TestInstallation(t *testing.T) {
	backend := newReceiver(t)
	path := filepath.Join(t.TempDir(), "config.yml")
	storage := filepath.Join(t.TempDir(), "data")
	command := func(want int, args ...string) string {
		t.Helper()
		var out bytes.Buffer
		if status := run(args, &out, &out); status != want {
			t.Errorf("%s: status %d, want %d\n%s", args[0], status, want, out.String())
		}
		return out.String()
	}
	for range 2 {
		out := command(0, "setup", "--config.file="+path, "--storage.path="+storage, "--host=192.0.2.1", "--hostid=edge-3",
			"--webhook.listen-address=127.0.0.1:0", "--otlp.endpoint=http://"+backend.address)
		raw, err := os.ReadFile(filepath.Join(filepath.Dir(path), "webhook-secret"))
		if err != nil {
			t.Fatal(err)
		}
		if want := "http://192.0.2.1:0/webhook/" + strings.TrimSpace(string(raw)); !strings.Contains(out, want) {
			t.Fatalf("the output lacks %s:\n%s", want, out)
		}
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	e := startLive(t, []string{"--storage.path=" + storage}, func(c *config.Config) { *c = cfg })
	listener, err := url.Parse(e.webhook)
	if err != nil {
		t.Fatal(err)
	}
	doctor := []string{"doctor", "--config.file=" + path, "--storage.path=" + storage, "--web.url=" + e.web, "--webhook.listen-address=" + listener.Host}

	out := command(1, doctor...)
	if !strings.Contains(out, "WRONG    proxies: none has pinged yet") || strings.Count(out, "WRONG") != 1 {
		t.Errorf("the doctor says of an exporter without proxies:\n%s", out)
	}
	raw, err := os.ReadFile(filepath.Join(filepath.Dir(path), "webhook-secret"))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Post("http://"+listener.Host+"/webhook/"+strings.TrimSpace(string(raw)), "application/json",
		strings.NewReader(`{"action":"ping","source":"edge-3","type":"proxy"}`))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	out = command(0, doctor...)
	for _, want := range []string{
		"ok       web listener: " + e.web + " is ready", "accepts the secret of webhook.secrets[0]", "ok       proxies: edge-3 pinged",
		"ok       traces: http://" + backend.address + " answers",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the doctor does not say %q:\n%s", want, out)
		}
	}
	command(0, "healthcheck", "--url="+e.web+"/-/healthy")
	if spans := backend.all(); len(spans) > 0 {
		t.Errorf("the checks have sent %d spans", len(spans))
	}

	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	command(1, "healthcheck", "--url="+e.web+"/-/healthy")
	out = command(1, doctor...)
	if !strings.Contains(out, "WRONG    web listener: nobody listens") || !strings.Contains(out, "WRONG    webhook: nobody listens") {
		t.Errorf("the doctor says of a stopped exporter:\n%s", out)
	}
}
