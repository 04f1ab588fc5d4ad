package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"smithproxy_exporter/collector"
	"smithproxy_exporter/exporter/capture"
	"smithproxy_exporter/exporter/traceid"
)

// scrape asks for the metrics as the headers say, without the client's own decompression.
func (e *exporter) scrape(headers ...string) (*http.Response, []byte) {
	e.t.Helper()
	request, err := http.NewRequest(http.MethodGet, e.web+"/metrics", nil)
	if err != nil {
		e.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	response, err := client.Do(request)
	if err != nil {
		e.t.Fatal(err)
	}
	return response, []byte(e.read(response))
}

const protobuf = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"

// TestNegotiation scrapes in every form that there is, after a connection with all that there can be.
func TestNegotiation(t *testing.T) {
	e := startExporter(t, []string{"--otlp.endpoint=http://" + newReceiver(t).address}, nil)
	connectionID := "Proxy-A1-OID-1"
	for _, body := range []string{
		`{"action":"connection-start","type":"proxy","id":"` + connectionID + `","source":"edge-1","details":{"info":{"session":"ssli_10.0.0.1:40000+ssli_10.0.0.2:443"}}}`,
		`{"action":"connection-stop","type":"proxy","id":"` + connectionID + `","source":"edge-1","details":{"info":{"session":"ssli_10.0.0.1:40000+ssli_10.0.0.2:443","bytes_up":10,"bytes_down":20,"policy":1,"l7":{"app":"http2"},"tls":{"sni":"example.com"}}}}`,
		`{"action":"connection-info","type":"proxy","id":"` + connectionID + `","source":"edge-1","details":{"statistics":{"info":{"session":"ssli_10.0.0.1:40000+ssli_10.0.0.2:443"}}}}`,
	} {
		if status, answer := e.post([]byte(body)); status/100 != 2 {
			t.Fatalf("answered %d, %s", status, answer)
		}
	}
	trace := traceid.Of("edge-1", connectionID).TraceString()

	t.Run("text", func(t *testing.T) {
		response, text := e.scrape()
		if got := response.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/plain; version=0.0.4") {
			t.Errorf("content type %s", got)
		}
		if bytes.Contains(text, []byte(trace)) {
			t.Error("there is an exemplar, which the text format cannot have")
		}
		parseMetrics(t, string(text))
	})
	t.Run("OpenMetrics", func(t *testing.T) {
		response, text := e.scrape("Accept", "application/openmetrics-text;version=1.0.0")
		if got := response.Header.Get("Content-Type"); !strings.HasPrefix(got, "application/openmetrics-text; version=1.0.0") {
			t.Errorf("content type %s", got)
		}
		for _, want := range []string{
			"\n# UNIT smithproxy_connection_duration_seconds seconds\n", "\n# UNIT smithproxy_sni_bytes bytes\n",
			`# {trace_id="` + trace + `",span_id="`, "\n# EOF\n",
		} {
			if !bytes.Contains(text, []byte(want)) {
				t.Errorf("%q is not there", want)
			}
		}
	})
	t.Run("protobuf", func(t *testing.T) {
		response, body := e.scrape("Accept", protobuf)
		decoder := expfmt.NewDecoder(bytes.NewReader(body), expfmt.ResponseFormat(response.Header))
		native, exemplars := 0, 0
		for {
			var f dto.MetricFamily
			if err := decoder.Decode(&f); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if f.GetName() != "smithproxy_connection_duration_seconds" {
				continue
			}
			for _, m := range f.GetMetric() {
				native += len(m.GetHistogram().GetPositiveSpan()) + int(m.GetHistogram().GetZeroCount())
				for _, b := range m.GetHistogram().GetBucket() {
					if e := b.GetExemplar(); e != nil && e.GetLabel()[0].GetValue() == trace {
						exemplars++
					}
				}
			}
		}
		if native == 0 || exemplars != 1 {
			t.Errorf("%d native spans, %d exemplars, want some and 1", native, exemplars)
		}
	})
	t.Run("gzip", func(t *testing.T) {
		response, body := e.scrape("Accept-Encoding", "gzip")
		if got := response.Header.Get("Content-Encoding"); got != "gzip" {
			t.Fatalf("content encoding %q", got)
		}
		parseMetrics(t, string(gunzip(t, body)))
	})
}

func gunzip(t *testing.T, compressed []byte) []byte {
	t.Helper()
	reader, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// TestDocumented holds what is exposed after everything that was captured against docs/metrics.md, and
// promtool, where there is one, against the names.
func TestDocumented(t *testing.T) {
	documented := map[string]bool{"smithproxy_exporter_build_info": true}
	for _, entry := range collector.Catalog() {
		documented[entry.Name] = true
		if entry.Help == "" || entry.Unit == "" || entry.Type == "" {
			t.Errorf("%s lacks something: %+v", entry.Name, entry)
		}
	}
	e := startExporter(t, nil, nil)
	files, err := capture.Files(filepath.Join("..", "..", "exporter", "testdata", "captures"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		requests, err := capture.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range requests {
			e.post(r.Body)
		}
	}
	text := e.metrics()
	for name := range parseMetrics(t, text) {
		if strings.HasPrefix(name, "smithproxy_") && !documented[name] {
			t.Errorf("%s is not documented", name)
		}
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed")
	}
	command := exec.Command(promtool, "check", "metrics")
	command.Stdin = strings.NewReader(text)
	out, err := command.CombinedOutput()
	problems := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(out)), "\n"), func(problem string) bool {
		// Entropy is in bits, and users rely on the name.
		return problem == "" || strings.HasPrefix(problem, "smithproxy_payload_entropy_") && strings.Contains(problem, "base unit")
	})
	if len(problems) > 0 {
		t.Errorf("promtool: %v: %q", err, problems)
	}
}
