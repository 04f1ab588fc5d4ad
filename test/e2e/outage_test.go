//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"smithproxy_exporter/exporter/traceid"
)

// outage kills the collector under load, starts it again, stops it in order, starts it again, and
// expects in Jaeger behind it a trace of each connection whose start and stop were acknowledged.
func outage(t *testing.T, p programs) {
	a := addresses(t, 5)
	s := &servers{programs: p, webhook: a[0], exporter: a[1], jaegerQuery: a[2]}
	otlp, jaegerOTLP := a[3], a[4]
	s.startJaeger(t, jaegerOTLP)
	eventually(t, 30*time.Second, "Jaeger is ready", answers("http://"+s.jaegerQuery+"/api/services"), s.processes...)
	collector := s.startDirectCollector(t, otlp, jaegerOTLP)
	s.startExporter(t, otlp, 1)
	eventually(t, 30*time.Second, "exporter is ready", answers("http://"+s.exporter+"/-/ready"), s.processes...)
	file := filepath.Join(t.TempDir(), "report.json")
	simulator := start(t, "simulator", s.simulator, nil,
		generation, "--url=http://"+s.webhook+"/webhook/"+secret, "--proxies=2", "--rate=100", "--seed=3",
		"--first-ping=500ms", "--ping-interval=2s", "--neighbor-interval=1s", "--drain=6s",
		"--access-share=0.2", "--content-share=0.1", "--duration-max=3s", "--info-delay-max=1s",
		"--fault.lost-stop=0.05", "--fault.duplicate=0.05", "--report.json="+file, "--quiet")

	sent := func(atLeast float64) {
		t.Helper()
		eventually(t, 30*time.Second, fmt.Sprintf("%v spans are sent", atLeast), func() error {
			return s.above("smithproxy_exporter_spans_exported_total", atLeast)
		}, s.processes...)
	}
	// waits says that there is an outage, and that it has cost something.
	waits := func() {
		t.Helper()
		eventually(t, 30*time.Second, "spans wait", func() error {
			return errors.Join(s.above("smithproxy_exporter_spans_failed_total", 0), s.above("smithproxy_exporter_spans_pending", 100))
		}, s.processes...)
	}
	sent(150)
	collector.kill()
	waits()
	collector = s.startDirectCollector(t, otlp, jaegerOTLP)
	sent(500)
	collector.terminate(t)
	waits()
	s.startDirectCollector(t, otlp, jaegerOTLP)
	sent(900)
	simulator.terminate(t)
	s.arrived(t, file)
}

// startDirectCollector runs a collector that answers when Jaeger has answered, apart from the processes
// that have to run throughout. It has no queue and no batches of its own: what it had accepted into its
// memory and not yet passed on would be lost with it when it is killed, and nobody before it could know.
func (s *servers) startDirectCollector(t *testing.T, otlp, backend string) *process {
	t.Helper()
	configuration := write(t, "collector.yml", `
receivers:
  otlp: {protocols: {grpc: {endpoint: "`+otlp+`"}}}
exporters:
  otlp_grpc: {endpoint: "`+backend+`", tls: {insecure: true}, sending_queue: {enabled: false}, retry_on_failure: {enabled: false}}
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [otlp_grpc]}
  telemetry: {metrics: {level: none}}
`)
	return start(t, "collector", s.collector, nil, "--config="+configuration)
}

// above fails while a metric of the exporter, one without labels, is not above a value.
func (s *servers) above(metric string, value float64) error {
	exposition, err := fetch("http://" + s.exporter + "/metrics")
	if err != nil {
		return err
	}
	_, after, _ := strings.Cut(string(exposition), "\n"+metric+" ")
	text, _, _ := strings.Cut(after, "\n")
	got, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return fmt.Errorf("%s: %w", metric, err)
	}
	if got <= value {
		return fmt.Errorf("%s is %v", metric, got)
	}
	return nil
}

// simulatorReport is the part of the simulator's report that arrived needs.
type simulatorReport struct {
	Connections []*simulatedConnection `json:"connections"`
}

// simulatedConnection is a connection of the simulator's report.
type simulatedConnection struct {
	Source string             `json:"source"`
	ID     string             `json:"id"`
	Start  *simulatedDelivery `json:"start"`
	Stop   *simulatedDelivery `json:"stop"`
}

// simulatedDelivery is what became of one event.
type simulatedDelivery struct {
	Acknowledged bool `json:"acknowledged"`
}

// Known reports whether the exporter acknowledged the event; false for one that was never sent.
func (d *simulatedDelivery) Known() bool { return d != nil && d.Acknowledged }

// arrived holds what is in Jaeger against the simulator's report.
func (s *servers) arrived(t *testing.T, file string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report simulatorReport
	if err := json.Unmarshal(content, &report); err != nil {
		t.Fatal(err)
	}
	known, acknowledged := map[string]*simulatedConnection{}, 0
	for _, c := range report.Connections {
		known[c.ID] = c
		if c.Start.Known() && c.Stop.Known() {
			acknowledged++
		}
	}
	var traces map[string]jaegerTrace
	eventually(t, 30*time.Second, "all traces are in Jaeger", func() error {
		if traces, err = s.everything(); err != nil {
			return err
		}
		for _, c := range report.Connections {
			id := traceid.Of(c.Source, c.ID)
			if roots := traces[id.TraceString()].spans(id.SpanString()); c.Start.Known() && c.Stop.Known() && roots == 0 {
				return fmt.Errorf("%s of %s is not among %d traces: start %+v, stop %+v", c.ID, c.Source, len(traces), c.Start, c.Stop)
			}
		}
		return nil
	}, s.processes...)
	repeats := 0
	for _, trace := range traces {
		id, ok := trace.tag("smithproxy.connection.id").(string)
		if !ok {
			continue // of a decision that no connection claimed
		}
		c, ok := known[id]
		if !ok || traceid.Of(c.Source, c.ID).TraceString() != trace.TraceID {
			t.Errorf("trace %s is of connection %s, which there never was", trace.TraceID, id)
			continue
		}
		repeats += max(0, trace.spans(traceid.Of(c.Source, c.ID).SpanString())-1)
		reason := trace.tag("smithproxy.close.reason")
		if c.Start.Known() && c.Stop.Known() && reason != "stop" {
			t.Errorf("trace %s: close reason %v, want stop", trace.TraceID, reason)
		}
	}
	t.Logf("%d connections, %d with an acknowledged start and stop, each with its root span in Jaeger; %d traces, %d repeats",
		len(report.Connections), acknowledged, len(traces), repeats)
	if acknowledged < 500 {
		t.Errorf("only %d connections to be found", acknowledged)
	}
}

// everything is all traces in Jaeger, by id.
func (s *servers) everything() (map[string]jaegerTrace, error) {
	found, err := s.find("/api/traces?service=smithproxy&lookback=1h&limit=100000")
	if err != nil {
		return nil, err
	}
	traces := make(map[string]jaegerTrace, len(found))
	for _, trace := range found {
		traces[trace.TraceID] = trace
	}
	return traces, nil
}

// spans counts those of an id.
func (j jaegerTrace) spans(id string) (n int) {
	for _, span := range j.Spans {
		if span.ID == id {
			n++
		}
	}
	return n
}

// terminate asks the process to stop, and waits until it has.
func (p *process) terminate(t *testing.T) {
	t.Helper()
	p.wanted = true
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("stop %s: %v", p.name, err)
	}
	select {
	case <-p.exited:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s does not stop", p.name)
	}
	if !p.cmd.ProcessState.Success() {
		t.Fatalf("%s: %v", p.name, p.cmd.ProcessState)
	}
}
