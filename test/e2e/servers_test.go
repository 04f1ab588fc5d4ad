//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// secret is the last segment of the webhook's URL.
	secret = "e2e"
	// quiet is the proxy that is switched off; it has a simulator of its own.
	quiet = "branch-1"
	// generation is the flag for the smithproxy that every simulator of these tests plays.
	generation = "--generation=2025"
)

// servers are all that runs, and where.
type servers struct {
	programs
	webhook, exporter, collectorMetrics, spanMetricsListen, jaegerQuery, prometheus, alertmanager string

	receiver  *receiver // of Alertmanager's notifications
	processes []*process
	branch    *process // the simulator of quiet
}

func (s *servers) start(t *testing.T, name, path string, env []string, args ...string) *process {
	t.Helper()
	p := start(t, name, path, env, args...)
	s.processes = append(s.processes, p)
	return p
}

// startServers starts everything, and returns when all of it is ready.
func startServers(t *testing.T, p programs) *servers {
	t.Helper()
	a := addresses(t, 10)
	s := &servers{programs: p, webhook: a[0], exporter: a[1], collectorMetrics: a[2], spanMetricsListen: a[3],
		jaegerQuery: a[4], prometheus: a[5], alertmanager: a[6], receiver: newReceiver(t)}
	otlp, jaegerOTLP, health := a[7], a[8], a[9]
	s.startJaeger(t, jaegerOTLP)
	s.startCollector(t, otlp, jaegerOTLP, health)
	s.startAlertmanager(t)
	s.startPrometheus(t)
	s.startExporter(t, otlp, 0.1)
	for _, url := range []string{
		"http://" + s.jaegerQuery + "/api/services", "http://" + health + "/", "http://" + s.alertmanager + "/-/ready",
		"http://" + s.prometheus + "/-/ready", "http://" + s.exporter + "/-/ready",
	} {
		eventually(t, 30*time.Second, url, answers(url), s.processes...)
	}
	s.simulate(t, "edge-", "--proxies=2", "--rate=30")
	s.branch = s.simulate(t, strings.TrimSuffix(quiet, "1"), "--proxies=1", "--rate=5")
	return s
}

func (s *servers) startJaeger(t *testing.T, otlp string) {
	// What is not asked listens where nobody else does.
	other := addresses(t, 6)
	s.start(t, "jaeger", s.jaeger, []string{"SPAN_STORAGE_TYPE=memory", "OTEL_TRACES_SAMPLER=always_off"},
		"--memory.max-traces=100000", "--log-level=warn",
		"--collector.otlp.grpc.host-port="+otlp, "--query.http-server.host-port="+s.jaegerQuery,
		"--query.grpc-server.host-port="+other[0], "--collector.otlp.http.host-port="+other[1],
		"--collector.grpc-server.host-port="+other[2], "--collector.http-server.host-port="+other[3],
		"--admin.http.host-port="+other[4], "--http-server.host-port="+other[5],
		"--reporter.grpc.host-port="+other[2],
		"--processor.jaeger-compact.server-host-port=127.0.0.1:0",
		"--processor.jaeger-binary.server-host-port=127.0.0.1:0",
		"--processor.zipkin-compact.server-host-port=127.0.0.1:0")
}

// startCollector runs the collector with what is shipped, filled in as its header says.
func (s *servers) startCollector(t *testing.T, otlp, backend, health string) {
	host, port, err := net.SplitHostPort(s.collectorMetrics)
	if err != nil {
		t.Fatal(err)
	}
	s.start(t, "collector", s.collector, []string{
		"OTLP_LISTEN=" + otlp, "TRACES_ENDPOINT=" + backend, "STORAGE=" + filepath.Join(t.TempDir(), "queue"),
		"SPAN_METRICS_LISTEN=" + s.spanMetricsListen, "SPAN_METRICS_INTERVAL=1s",
		"TELEMETRY_HOST=" + host, "TELEMETRY_PORT=" + port, "HEALTH_LISTEN=" + health,
	}, "--config="+absolute(t, filepath.Join(root, "otel-collector.yaml")))
}

// startExporter rejects what asks, so that there are rejected connections; most do not ask. A rule with a list
// is dry-run. The ratio is that of the traces that no rule keeps.
func (s *servers) startExporter(t *testing.T, otlp string, ratio float64) {
	list := write(t, "clients.netset", "10.0.0.0/8 # of the simulator\n")
	configuration := write(t, "exporter.yml", `
webhook: {secrets: [{secret: `+secret+`}]}
access:
  default: reject
  rules:
    - {name: dry-run, client_file: [`+list+`], verdict: reject, dry_run: true}
connections: {grace_period: 5s}
proxies: {ping_timeout: 10s}
traces: {sampling: {ratio: `+fmt.Sprint(ratio)+`}}
`)
	s.start(t, "exporter", s.programs.exporter, nil,
		"--config.file="+configuration, "--webhook.listen-address="+s.webhook, "--web.listen-address="+s.exporter,
		"--web.enable-lifecycle", "--storage.path="+t.TempDir(), "--otlp.endpoint=http://"+otlp)
}

// simulate plays proxies that ping every two seconds, and lose a stop now and then.
func (s *servers) simulate(t *testing.T, prefix string, args ...string) *process {
	t.Helper()
	p := start(t, "simulator of "+prefix, s.simulator, nil, append([]string{
		generation, "--url=http://" + s.webhook + "/webhook/" + secret, "--name-prefix=" + prefix, "--wait=30s",
		"--first-ping=500ms", "--ping-interval=2s", "--neighbor-interval=1s", "--last-pings=0", "--drain=1s",
		"--access-share=0.2", "--content-share=0.1", "--duration-max=5s", "--info-delay-max=1s",
		"--fault.lost-stop=0.1", "--fault.duplicate=0.05", "--report.connections=false", "--quiet",
	}, args...)...)
	return p
}

func (s *servers) startPrometheus(t *testing.T) {
	rules := write(t, "smithproxy.rules.yml", impatient(t))
	configuration := write(t, "prometheus.yml", `
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: ["`+rules+`"]
alerting:
  alertmanagers: [{static_configs: [{targets: ["`+s.alertmanager+`"]}]}]
scrape_configs:
  - {job_name: smithproxy, static_configs: [{targets: ["`+s.exporter+`"]}]}
  - {job_name: otel-collector, static_configs: [{targets: ["`+s.collectorMetrics+`"]}]}
  - {job_name: spans, static_configs: [{targets: ["`+s.spanMetricsListen+`"]}]}
`)
	s.start(t, "prometheus", "prometheus", nil, "--config.file="+configuration, "--storage.tsdb.path="+t.TempDir(),
		"--web.listen-address="+s.prometheus, "--enable-feature=exemplar-storage", "--log.level=warn")
}

func (s *servers) startAlertmanager(t *testing.T) {
	configuration := write(t, "alertmanager.yml", `
route: {receiver: test, group_by: [alertname, source], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}
receivers: [{name: test, webhook_configs: [{url: "`+s.receiver.url+`", send_resolved: true}]}]
`)
	s.start(t, "alertmanager", "prometheus-alertmanager", nil, "--config.file="+configuration,
		"--storage.path="+t.TempDir(), "--web.listen-address="+s.alertmanager, "--cluster.listen-address=", "--log.level=warn")
}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}
