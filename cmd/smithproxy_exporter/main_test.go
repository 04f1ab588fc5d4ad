package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/webhook"
)

func TestCommandLine(t *testing.T) {
	valid := write(t, "valid.yml", "access: {default: reject}\n")
	wrong := write(t, "wrong.yml", "access: {defualt: reject}\n")
	tests := map[string]commandLine{
		"trace-id": {
			args:   []string{"trace-id", "oneofmany1", "Proxy-A65E609B-OID-FEE9B1098109"},
			stdout: "220132e20e64ca91a4e7333ba5734a9e\n",
		},
		"trace-id of the second connection of an id": {
			args:   []string{"trace-id", "oneofmany1", "Proxy-A65E609B-PTR-7F3A2C001B40#2"},
			stdout: "9e0c039b769632b393f2b8fb57b1068c\n",
		},
		"trace-id without an id": {args: []string{"trace-id", "oneofmany1"}, status: 2, stderr: "required argument 'id'"},
		"unknown flag":           {args: []string{"--nonsense"}, status: 2, stderr: "--nonsense"},
		"valid configuration":    {args: []string{"--config.check", "--config.file=" + valid}, stdout: "configuration is valid\n"},
		"wrong configuration":    {args: []string{"--config.check", "--config.file=" + wrong}, status: 1},
		"no configuration there": {args: []string{"--config.check", "--config.file=" + wrong + ".not"}, status: 1},
	}
	for name, tt := range tests {
		t.Run(name, tt.run)
	}
}

// commandLine is what a command line is to lead to; stderr is a part of what is written there.
type commandLine struct {
	args           []string
	status         int
	stdout, stderr string
}

func (c commandLine) run(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if status := run(c.args, &stdout, &stderr); status != c.status {
		t.Errorf("status %d, want %d", status, c.status)
	}
	if stdout.String() != c.stdout {
		t.Errorf("stdout\n%s\nwant\n%s", stdout.String(), c.stdout)
	}
	if !strings.Contains(stderr.String(), c.stderr) {
		t.Errorf("stderr %q, want %q in it", stderr.String(), c.stderr)
	}
}

// The log of the first start says where the secret is; only a terminal shows it, and only once.
func TestGeneratedSecretIsShownOnce(t *testing.T) {
	storage := t.TempDir()
	start := func() (log, terminal, secret string) {
		var lines, screen bytes.Buffer
		f, _, err := parse([]string{
			"--webhook.listen-address=127.0.0.1:0", "--web.listen-address=127.0.0.1:0", "--storage.path=" + storage,
		})
		if err != nil {
			t.Fatal(err)
		}
		f.terminal = &screen
		a, err := openAt(t.Context(), f, config.Default(), slog.New(slog.NewTextHandler(&lines, &slog.HandlerOptions{Level: slog.LevelDebug})), realClock)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.webhookListener.Close(); err != nil {
			t.Fatal(err)
		}
		kept, err := os.ReadFile(filepath.Join(storage, "webhook-secret"))
		if err != nil {
			t.Fatal(err)
		}
		return lines.String(), screen.String(), strings.TrimSpace(string(kept))
	}
	log, terminal, secret := start()
	if !strings.Contains(log, "secret_file="+filepath.Join(storage, "webhook-secret")) || !strings.Contains(log, "url=http://127.0.0.1:") {
		t.Errorf("the log of the first start does not say where the secret is:\n%s", log)
	}
	if !strings.Contains(terminal, "http://127.0.0.1:") || !strings.Contains(terminal, "/webhook/"+secret+"\n") {
		t.Errorf("the terminal shows no URL: %q", terminal)
	}
	if strings.Contains(log, secret) {
		t.Errorf("the secret is in the log:\n%s", log)
	}
	log, terminal, again := start()
	if strings.Contains(log, secret) || terminal != "" || again != secret {
		t.Errorf("the second start shows the secret, or has another:\n%s%s", log, terminal)
	}
}

// TestWebhookOverTLS posts as smithproxy does to an https URL: by HTTP/2.
func TestWebhookOverTLS(t *testing.T) {
	certificate, key := selfSigned(t)
	e := startExporter(t, nil, func(c *config.Config) {
		c.Webhook.TLS = &webhook.TLS{CertFile: certificate, KeyFile: key}
	})
	pool := x509.NewCertPool()
	raw, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	pool.AppendCertsFromPEM(raw)
	for _, http2 := range []bool{true, false} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: http2}
		client := &http.Client{Transport: transport}
		response, err := client.Post(e.webhook, "application/json", strings.NewReader(`{"action":"ping","source":"a","type":"proxy"}`))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		transport.CloseIdleConnections()
		want := 1
		if http2 {
			want = 2
		}
		if response.StatusCode != http.StatusOK || response.ProtoMajor != want {
			t.Errorf("answered %s by HTTP/%d, want 200 by HTTP/%d", response.Status, response.ProtoMajor, want)
		}
	}
}

func TestWebListener(t *testing.T) {
	e := startExporter(t, nil, nil)
	e.post([]byte(`{"action":"connection-start","details":{"info":{"session":"tcp_10.0.0.1:1+tcp_10.0.0.2:2"}},"id":"Proxy-A-OID-1","source":"edge-1","type":"proxy"}`))
	for path, want := range map[string]string{
		"/":          "smithproxy_exporter",
		"/metrics":   `smithproxy_connections_active{source="edge-1"} 1`,
		"/-/healthy": "healthy",
		"/-/ready":   "ready",
		"/api/v1/connections/edge-1/Proxy-A-OID-1": `"trace_id": "`,
	} {
		if status, body := e.get(path); status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("GET %s: %d, want %q in\n%s", path, status, want, body)
		}
	}
	var listed struct {
		Connections []struct{ State, Source, ID string }
	}
	_, body := e.get("/api/v1/connections")
	if err := json.Unmarshal([]byte(body), &listed); err != nil || len(listed.Connections) != 1 || listed.Connections[0].State != "open" {
		t.Errorf("%v: %s", err, body)
	}
	if status, _ := e.get("/webhook/" + secret); status != http.StatusNotFound {
		t.Errorf("the web listener serves the webhook: %d", status)
	}
	response, err := http.Get(strings.TrimSuffix(e.webhook, "/webhook/"+secret) + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusNotFound {
		t.Errorf("the webhook listener serves metrics: %d", response.StatusCode)
	}
}

func TestAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	f, _, err := parse([]string{"--webhook.listen-address=" + taken.Addr().String(), "--storage.path=" + t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = open(context.Background(), f, config.Default(), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("error %v", err)
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// selfSigned writes a certificate for 127.0.0.1 and its key.
func selfSigned(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})))
}
