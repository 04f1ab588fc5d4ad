//go:build e2e

// Package e2e runs the exporter and the simulator between real servers, with the files that are
// shipped: Prometheus and Alertmanager of the distribution, an OpenTelemetry Collector and Jaeger built
// from source. It listens on loopback only. Start it with test/e2e/run.
package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// root is the top of the repository.
const root = "../.."

func TestEndToEnd(t *testing.T) {
	for _, program := range []string{"prometheus", "promtool", "prometheus-alertmanager", "amtool"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v; test/e2e/run installs it", err)
		}
	}
	began := time.Now()
	programs := build(t)
	t.Logf("stage build: %v", time.Since(began).Round(time.Second))

	stage := func(name string, run func(*testing.T)) {
		t.Helper()
		began := time.Now()
		if !t.Run(name, run) {
			// What comes after would only fail for the same reason.
			t.FailNow()
		}
		t.Logf("stage %s: %v", name, time.Since(began).Round(100*time.Millisecond))
	}
	stage("validate", func(t *testing.T) { validateCollector(t, programs) })
	stage("promtool", promtool)
	stage("routes", routes)
	stage("outage", func(t *testing.T) { outage(t, programs) })

	began = time.Now()
	s := startServers(t, programs)
	t.Logf("stage start: %v", time.Since(began).Round(100*time.Millisecond))
	stage("traces", s.traces)
	stage("span metrics", s.spanMetrics)
	stage("rules", s.rules)
	stage("alert", s.alert)
}

// validateCollector asks the collector about otel-collector.yaml as it is shipped, with nothing of the
// environment that could fill its variables.
func validateCollector(t *testing.T, p programs) {
	command := exec.CommandContext(t.Context(), p.collector, "validate", "--config="+filepath.Join(root, "otel-collector.yaml"))
	command.Env = []string{"PATH=" + os.Getenv("PATH")}
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("collector validate: %v\n%s", err, out)
	}
}
