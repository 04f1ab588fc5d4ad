//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestValues plays a scenario, and compares what every query of every dashboard gives in a real Prometheus with
// testdata/values.txt. A query without a line there fails the test, and so does a line without a query.
func TestValues(t *testing.T) {
	a := addresses(t, 5)
	s := &servers{programs: build(t), webhook: a[0], exporter: a[1], jaegerQuery: a[2], prometheus: a[3]}
	s.startJaeger(t, a[4])
	shipped, err := os.ReadFile(filepath.Join(root, "alerts", "smithproxy.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	// The scenario is shorter than what alerts wait for.
	rules := write(t, "smithproxy.rules.yml", regexp.MustCompile(`\n        for: \d+m\n`).ReplaceAllString(string(shipped), "\n        for: 0s\n"))
	configuration := write(t, "prometheus.yml", `
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: ["`+rules+`"]
scrape_configs:
  - {job_name: smithproxy, static_configs: [{targets: ["`+s.exporter+`"]}]}
`)
	s.start(t, "prometheus", "prometheus", nil, "--config.file="+configuration, "--storage.tsdb.path="+t.TempDir(),
		"--web.listen-address="+s.prometheus, "--log.level=warn")
	list := write(t, "clients.netset", "10.1.0.1\n")
	configuration = write(t, "exporter.yml", `
webhook: {secrets: [{secret: `+secret+`}]}
access:
  rules:
    - {name: trial, client_file: [`+list+`], verdict: reject, dry_run: true}
    - {name: no-mail, port: ["25"], verdict: reject}
connections: {grace_period: 1s}
metrics: {networks: [{name: office, cidrs: [10.1.0.0/16]}]}
proxies: {ping_timeout: 10s}
`)
	s.start(t, "exporter", s.programs.exporter, nil,
		"--config.file="+configuration, "--webhook.listen-address="+s.webhook, "--web.listen-address="+s.exporter,
		"--storage.path="+t.TempDir(), "--otlp.endpoint=http://"+a[4])
	for _, url := range []string{"http://" + s.jaegerQuery + "/api/services", "http://" + s.prometheus + "/-/ready", "http://" + s.exporter + "/-/ready"} {
		eventually(t, 30*time.Second, url, answers(url), s.processes...)
	}
	s.has(t, `up == 1`)
	p := &scenario{t: t, url: "http://" + s.webhook + "/webhook/" + secret}
	began := time.Now()
	steady, end := p.play()
	s.has(t, fmt.Sprintf(`sum(smithproxy_connections_closed_total) == %d`, 6*scenarioSeconds-2+1))

	want := expectedValues(t)
	questions, searches := map[string]question{}, map[string]map[string]string{}
	for name, d := range shippedDashboards(t) {
		for where, q := range d.queries() {
			q.expr = d.expand(q.expr)
			// All dashboards have the same annotations.
			if !strings.HasPrefix(where, "annotation ") {
				where = name + "/" + where
			}
			questions[where] = q
		}
		for where, tags := range d.tags() {
			searches[name+"/"+where] = tags
		}
	}
	for where, q := range questions {
		// What a panel shows of the whole time range is asked after its end, rates in the steady state.
		at := steady
		if q.instant {
			at = end.Add(time.Second)
		}
		got, err := s.values(q.expr, q.label, at, began)
		if err != nil {
			t.Errorf("%s: %v\n%s", where, err, q.expr)
		}
		matchValues(t, where, got, want)
	}
	for where, tags := range searches {
		s.compareTraces(t, where, tags, want)
	}
	for where := range want {
		t.Errorf("testdata/values.txt has a line for %s, which is no query", where)
	}
}

// values asks an expression for its values at a time. Times among them are in seconds after the beginning. With a label,
// they are 1 for each value of it.
func (s *servers) values(expr, label string, at, began time.Time) (map[string]float64, error) {
	found, err := s.queryAt(expr, at)
	got := map[string]float64{}
	for _, f := range found {
		if label != "" {
			got[f.Metric[label]] = 1
			continue
		}
		value, err := strconv.ParseFloat(fmt.Sprint(f.Value[1]), 64)
		if err != nil {
			return nil, err
		}
		switch start := float64(began.UnixMilli()) / 1000; {
		case value > 1e12:
			value = value/1000 - start
		case value > 1e9:
			value -= start
		}
		got[legend(f.Metric)] = value
	}
	return got, err
}

// compareTraces asks Jaeger for the number of traces with tags.
func (s *servers) compareTraces(t *testing.T, where string, tags map[string]string, want map[string]map[string]interval) {
	t.Helper()
	eventually(t, 30*time.Second, where, func() error { _, err := s.search(tags); return err }, s.processes...)
	traces, err := s.search(tags)
	if err != nil {
		t.Fatal(err)
	}
	matchValues(t, where, map[string]float64{"": float64(len(traces))}, want)
}

func matchValues(t *testing.T, where string, got map[string]float64, want map[string]map[string]interval) {
	t.Helper()
	line := describe(got)
	expected, ok := want[where]
	if !ok {
		t.Errorf("testdata/values.txt has no line for\n%s = %s", where, line)
		return
	}
	delete(want, where)
	for series, in := range expected {
		value, ok := got[series]
		if series != more && !ok || ok && !(value >= in.from && value <= in.to) {
			t.Errorf("%s, series %q: want %v to %v, got\n%s = %s", where, series, in.from, in.to, where, line)
		}
	}
	_, more := expected[more]
	for series := range got {
		if _, ok := expected[series]; !ok && !more {
			t.Errorf("%s: unexpected series %q\n%s = %s", where, series, where, line)
		}
	}
}

// legend returns the values of a series' labels in the order of their names, without those that differ from run to run.
func legend(labels map[string]string) string {
	var values []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		if name != "instance" && name != "job" && name != "__name__" {
			value := labels[name]
			if filepath.IsAbs(value) {
				value = filepath.Base(value)
			}
			if bound, err := strconv.ParseFloat(value, 64); name == "le" && err == nil {
				value = strconv.FormatFloat(bound, 'g', -1, 64) // Prometheus 3 writes 1.0 for 1
			}
			values = append(values, value)
		}
	}
	return strings.Join(values, ",")
}

func describe(values map[string]float64) string {
	if len(values) == 0 {
		return "nothing"
	}
	var parts []string
	for _, series := range slices.Sorted(maps.Keys(values)) {
		text := strconv.FormatFloat(values[series], 'g', 6, 64)
		if series != "" {
			text = strconv.Quote(series) + ":" + text
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, " ")
}

// more stands for series besides those of a line.
const more = "more"

// interval has the least and the largest expected value.
type interval struct{ from, to float64 }

// expectedValues reads testdata/values.txt: lines of
//
//	dashboard/panel/query = value "series":value …
//
// A value is a number, with 10 % of tolerance unless it is 0, or an interval from..to. "more":0 stands for any further
// series. Lines with # are comments.
func expectedValues(t *testing.T) map[string]map[string]interval {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "values.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	want := map[string]map[string]interval{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		where, text, ok := strings.Cut(lines.Text(), " = ")
		if !ok || strings.HasPrefix(where, "#") {
			continue
		}
		values, err := parseValues(text)
		if err != nil {
			t.Fatalf("testdata/values.txt: %s: %v", where, err)
		}
		want[where] = values
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return want
}

func parseValues(text string) (map[string]interval, error) {
	values := map[string]interval{}
	if text == "nothing" {
		return values, nil
	}
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		series := ""
		if text[0] == '"' {
			quoted, err := strconv.QuotedPrefix(text)
			if err != nil {
				return nil, err
			}
			if series, err = strconv.Unquote(quoted); err != nil {
				return nil, err
			}
			text = strings.TrimPrefix(text[len(quoted):], ":")
		}
		value, rest, _ := strings.Cut(text, " ")
		text = rest
		low, high, ok := strings.Cut(value, "..")
		if !ok {
			high = value
		}
		from, err := strconv.ParseFloat(low, 64)
		if err != nil {
			return nil, err
		}
		to, err := strconv.ParseFloat(high, 64)
		if err != nil {
			return nil, err
		}
		if !ok {
			from, to = min(from*0.9, from*1.1), max(to*0.9, to*1.1)
		}
		values[series] = interval{from, to}
	}
	return values, nil
}

// shippedDashboards are the dashboards by the names of their files.
func shippedDashboards(t *testing.T) map[string]dashboard {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "dashboards", "grafana", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d dashboards: %v", len(files), err)
	}
	list := map[string]dashboard{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboard
		if err := json.Unmarshal(content, &d); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		list[strings.TrimSuffix(filepath.Base(file), ".json")] = d
	}
	return list
}

// queryAt asks Prometheus for what an expression gives at a time.
func (s *servers) queryAt(expr string, at time.Time) ([]series, error) {
	var reply struct {
		Data struct {
			Result []series `json:"result"`
		} `json:"data"`
	}
	err := get("http://"+s.prometheus+"/api/v1/query?"+url.Values{
		"query": {expr}, "time": {strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)},
	}.Encode(), &reply)
	return reply.Data.Result, err
}
