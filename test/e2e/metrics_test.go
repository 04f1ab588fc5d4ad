//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// report is what the simulator says it did, as far as it is asked about.
type report struct {
	Sources map[string]struct {
		Actions map[string]struct {
			AcknowledgedDeliveries int `json:"acknowledged_deliveries"`
		} `json:"actions"`
		Neighbors int            `json:"neighbors_acknowledged"`
		Expected  map[string]int `json:"expected"`
		BytesUp   int            `json:"bytes_up"`
		BytesDown int            `json:"bytes_down"`
	} `json:"sources"`
}

// TestMetrics has a Prometheus that takes native histograms and exemplars scrape the exporter under the
// simulator, until that is done, and holds its queries against what the simulator says it did. A tenth of the traces
// goes to Jaeger.
func TestMetrics(t *testing.T) {
	a := addresses(t, 5)
	s := &servers{programs: build(t), webhook: a[0], exporter: a[1], jaegerQuery: a[2], prometheus: a[3]}
	s.startJaeger(t, a[4])
	configuration := write(t, "prometheus.yml", `
global: {scrape_interval: 1s}
scrape_configs:
  - {job_name: smithproxy, static_configs: [{targets: ["`+s.exporter+`"]}]}
`)
	s.start(t, "prometheus", "prometheus", nil, "--config.file="+configuration, "--storage.tsdb.path="+t.TempDir(),
		"--web.listen-address="+s.prometheus, "--enable-feature=exemplar-storage,native-histograms", "--log.level=warn")
	configuration = write(t, "exporter.yml", `
webhook: {secrets: [{secret: `+secret+`}]}
connections: {grace_period: 5s}
metrics: {max_values: 5}
traces: {sampling: {ratio: 0.1}}
`)
	s.start(t, "exporter", s.programs.exporter, nil,
		"--config.file="+configuration, "--webhook.listen-address="+s.webhook, "--web.listen-address="+s.exporter,
		"--storage.path="+t.TempDir(), "--otlp.endpoint=http://"+a[4])
	for _, url := range []string{"http://" + s.jaegerQuery + "/api/services", "http://" + s.prometheus + "/-/ready", "http://" + s.exporter + "/-/ready"} {
		eventually(t, 30*time.Second, url, answers(url), s.processes...)
	}
	did := s.simulated(t)
	t.Run("queries", func(t *testing.T) { s.sameAs(t, did) })
	t.Run("exemplars", s.exemplarTraces)
	t.Run("native histograms", s.nativeHistograms)
	t.Run("promtool", s.checkMetrics)
}

// simulated runs a fleet that sends everything and repeats some of it, and returns its report.
func (s *servers) simulated(t *testing.T) report {
	t.Helper()
	file := filepath.Join(t.TempDir(), "report.json")
	command := exec.CommandContext(t.Context(), s.simulator, generation, "--socks-udp-share=0",
		"--url=http://"+s.webhook+"/webhook/"+secret, "--proxies=3",
		"--rate=40", "--duration=20s", "--first-ping=500ms", "--ping-interval=2s", "--neighbor-interval=1s", "--drain=10s",
		"--duration-max=3s", "--info-delay-max=1s", "--fault.duplicate=0.1", "--report.connections=false", "--report.json="+file, "--quiet")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("simulator: %v\n%s", err, out)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var did report
	if err := json.Unmarshal(content, &did); err != nil {
		t.Fatal(err)
	}
	return did
}

// sameAs holds sums in Prometheus, over what has series of its own and what has none, against the report.
func (s *servers) sameAs(t *testing.T, did report) {
	for source, r := range did.Sources {
		want := map[string]int{
			`sum(smithproxy_connections_closed_total{source="%s", reason="stop"})`:               r.Expected["stop"],
			`sum(smithproxy_connection_bytes_total{source="%s", direction="up"})`:                r.BytesUp,
			`sum(smithproxy_connection_bytes_total{source="%s", direction="down"})`:              r.BytesDown,
			`smithproxy_neighbors_discovered_total{source="%s"}`:                                 r.Neighbors,
			`sum(smithproxy_pings_total{source="%s"})`:                                           r.Actions["ping"].AcknowledgedDeliveries,
			`sum(smithproxy_events_total{source="%s", action="connection-stop"})`:                r.Actions["connection-stop"].AcknowledgedDeliveries,
			`sum(smithproxy_events_total{source="%s", action="connection-info"})`:                r.Actions["connection-info"].AcknowledgedDeliveries,
			`histogram_count(sum(smithproxy_connection_duration_seconds{source="%s"}))`:          r.Expected["stop"],
			`count(smithproxy_sni_connections_total{source="%s", sni!~"_other|_invalid"}) <= 10`: -1, // live and frozen
		}
		for query, n := range want {
			query = fmt.Sprintf(query, source)
			eventually(t, 15*time.Second, query, func() error {
				found, err := s.query(query)
				switch {
				case err != nil:
					return err
				case len(found) != 1:
					return fmt.Errorf("%d results", len(found))
				}
				if got := fmt.Sprint(found[0].Value[1]); n >= 0 && got != strconv.Itoa(n) {
					return fmt.Errorf("is %s, and the simulator did %d", got, n)
				}
				return nil
			}, s.processes...)
		}
	}
}

// exemplarTraces looks in Jaeger for the trace of every exemplar that Prometheus has.
func (s *servers) exemplarTraces(t *testing.T) {
	for _, metric := range []string{"smithproxy_connection_duration_seconds", "smithproxy_payload_entropy_bits"} {
		var traces []string
		eventually(t, 15*time.Second, metric+" has exemplars", func() error {
			found, err := s.exemplarsOf(metric)
			traces = found
			if err == nil && len(found) == 0 {
				err = errors.New("none")
			}
			return err
		}, s.processes...)
		slices.Sort(traces)
		traces = slices.Compact(traces)
		for _, id := range traces[:min(len(traces), 50)] {
			eventually(t, 15*time.Second, "trace "+id, func() error { _, err := s.find("/api/traces/" + id); return err }, s.processes...)
		}
		t.Logf("%s: exemplars of %d traces", metric, len(traces))
	}
}

// exemplarsOf returns the trace ids of a metric's exemplars.
func (s *servers) exemplarsOf(metric string) ([]string, error) {
	var reply struct {
		Data []struct {
			Exemplars []struct {
				Labels map[string]string `json:"labels"`
			} `json:"exemplars"`
		} `json:"data"`
	}
	now := time.Now()
	err := get("http://"+s.prometheus+"/api/v1/query_exemplars?"+url.Values{
		"query": {metric},
		"start": {strconv.FormatInt(now.Add(-time.Hour).Unix(), 10)},
		"end":   {strconv.FormatInt(now.Add(time.Minute).Unix(), 10)},
	}.Encode(), &reply)
	var traces []string
	for _, of := range reply.Data {
		for _, e := range of.Exemplars {
			if len(e.Labels["trace_id"]) != 32 || len(e.Labels["span_id"]) != 16 || len(e.Labels) != 2 {
				return nil, fmt.Errorf("an exemplar has the labels %v", e.Labels)
			}
			traces = append(traces, e.Labels["trace_id"])
		}
	}
	return traces, err
}

// nativeHistograms asks for quantiles of what was simulated: connections of up to 3 s, entropies of up to 8.
func (s *servers) nativeHistograms(t *testing.T) {
	for query, most := range map[string]float64{
		`histogram_quantile(0.9, sum(smithproxy_connection_duration_seconds))`:            3.3,
		`histogram_quantile(0.9, sum(rate(smithproxy_connection_duration_seconds[1m])))`:  3.3,
		`histogram_quantile(0.5, sum(smithproxy_payload_entropy_bits{direction="down"}))`: 8.8,
		`histogram_quantile(0.99, sum by (source) (smithproxy_payload_entropy_bits))`:     8.8,
		`histogram_fraction(0, 4, sum(smithproxy_connection_duration_seconds))`:           1,
		`histogram_quantile(0.5, sum(smithproxy_flow_skew_ratio))`:                        1.1,
	} {
		found, err := s.query(query)
		if err != nil || len(found) == 0 {
			t.Errorf("%s: %v, %v", query, found, err)
			continue
		}
		for _, f := range found {
			value, err := strconv.ParseFloat(fmt.Sprint(f.Value[1]), 64)
			t.Logf("%s is %v", query, value)
			if err != nil || !(value > -1.1 && value <= most) {
				t.Errorf("%s is %v, %v", query, f.Value[1], err)
			}
		}
	}
}

// checkMetrics has promtool look at what is exposed.
func (s *servers) checkMetrics(t *testing.T) {
	exposition, err := fetch("http://" + s.exporter + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), "promtool", "check", "metrics")
	command.Stdin = bytes.NewReader(exposition)
	out, err := command.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		// Entropy is in bits, and users rely on the name.
		if !strings.HasPrefix(line, "smithproxy_payload_entropy_") || !strings.Contains(line, "base unit") {
			t.Errorf("promtool: %v: %s", err, line)
		}
	}
}
