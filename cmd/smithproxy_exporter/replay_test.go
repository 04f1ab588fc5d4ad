package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"smithproxy_exporter/exporter/capture"
	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/traceid"
)

var update = flag.Bool("update", false, "write the golden files anew; check them by hand against the captures")

// TestReplay plays every capture over HTTP into the exporter, at the captured times, and compares the
// spans that an OTLP receiver gets, and the exposition, with golden files.
func TestReplay(t *testing.T) {
	files, err := capture.Files(filepath.Join("..", "..", "exporter", "testdata", "captures"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		t.Run(name, func(t *testing.T) {
			requests, err := capture.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			metrics, spans := replay(t, requests)
			golden(t, name+".metrics", told(metrics))
			golden(t, name+".spans", renderSpans(t, spans))
			lint(t, metrics)
		})
	}
}

// replay plays requests, waits until nothing more can come, and stops the exporter.
func replay(t *testing.T, requests []capture.Request) (metrics string, spans []received) {
	backend := newReceiver(t)
	e := startExporter(t, []string{"--otlp.endpoint=http://" + backend.address}, func(c *config.Config) {
		for _, r := range requests {
			if r.Answer == `{"access-response":"reject"}` {
				c.Access.Default = event.Reject
			}
		}
	})
	last := epoch
	for _, r := range requests {
		last = epoch.Add(r.At)
		e.clock.set(last)
		if status, answer := e.post(r.Body); status != 200 && status != 202 {
			t.Fatalf("answered %d %s to %s", status, answer, r.Body)
		}
	}
	e.advance(last.Add(2 * time.Minute))
	metrics = e.metrics()
	if err := e.stop(); err != nil {
		t.Fatal(err)
	}
	return metrics, backend.all()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", name, diff)
	}
}

// untold are the metrics that depend on the build, the disk, the connections of the test and how fast the machine is.
var untold = regexp.MustCompile(`^smithproxy_exporter_(build_info|store_|spans_pending|spans_oldest_|spans_exported_|webhook_)`)

// told is what an exposition says about smithproxy: without the series that are still at 0, and without
// what is untold.
func told(metrics string) string {
	var kept strings.Builder
	for line := range strings.Lines(metrics) {
		about := strings.HasPrefix(line, "smithproxy_") && !untold.MatchString(line)
		if about && !strings.HasSuffix(line, " 0\n") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// bitsAreMeant are the names in which users rely on bits, the unit of entropy.
var bitsAreMeant = []string{"smithproxy_payload_entropy_bits", "smithproxy_payload_entropy_last_bits"}

func lint(t *testing.T, metrics string) {
	t.Helper()
	problems, err := promlint.New(strings.NewReader(metrics)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if slices.Contains(bitsAreMeant, p.Metric) && strings.Contains(p.Text, "base unit") {
			continue
		}
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// manySpans is from where on a golden file holds a summary instead of every span.
const manySpans = 100

// renderSpans writes spans down, sorted by trace.
func renderSpans(t *testing.T, spans []received) string {
	checkTraces(t, spans)
	if len(spans) > manySpans {
		return summary(spans)
	}
	slices.SortFunc(spans, func(a, b received) int {
		return strings.Compare(a.traceID()+a.parent(), b.traceID()+b.parent())
	})
	var out strings.Builder
	for _, s := range spans {
		indent := ""
		if s.parent() != "" {
			indent = "  "
		}
		fmt.Fprintf(&out, "%s%s %s %s/%s +%v %v", indent, s.GetName(), kindOf(s), s.traceID(), s.spanID(),
			startOf(s).Sub(epoch), endOf(s).Sub(startOf(s)))
		if s.GetStatus().GetCode() == tracepb.Status_STATUS_CODE_ERROR {
			out.WriteString(" ERROR")
		}
		out.WriteString("\n")
		attributes := values(s.GetAttributes())
		if _, ok := attributes["smithproxy.access.decision"]; ok {
			attributes["smithproxy.access.decision"] = "(drawn)"
		}
		if indent == "" {
			attributes["resource"] = map[string]any{
				"service.name": s.resource["service.name"], "host.name": s.resource["host.name"],
				"service.instance.id": s.resource["service.instance.id"],
			}
		}
		for _, key := range slices.Sorted(maps.Keys(attributes)) {
			text, err := json.Marshal(attributes[key])
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "%s    %s = %s\n", indent, key, text)
		}
		for _, e := range s.GetEvents() {
			fmt.Fprintf(&out, "%s    event %s %v\n", indent, e.GetName(), values(e.GetAttributes()))
		}
	}
	return out.String()
}

// checkTraces holds for all spans: no two are alike, each root has the ids that its names give, each
// child is inside its parent.
func checkTraces(t *testing.T, spans []received) {
	t.Helper()
	byID := map[string]received{}
	for _, s := range spans {
		if _, twice := byID[s.spanID()]; twice {
			t.Errorf("span %s came twice", s.spanID())
		}
		byID[s.spanID()] = s
	}
	for _, s := range spans {
		if endOf(s).Before(startOf(s)) {
			t.Errorf("span %s ends before it starts: %v", s.spanID(), s)
		}
		if s.parent() != "" {
			root, ok := byID[s.parent()]
			if !ok || root.traceID() != s.traceID() {
				t.Errorf("span %s has no parent", s.spanID())
			} else if s.GetName() == "access-request" && (startOf(s).Before(startOf(root)) || endOf(s).After(endOf(root))) {
				t.Errorf("span %s is not inside its parent", s.spanID())
			}
			continue
		}
		id, ok := values(s.GetAttributes())["smithproxy.connection.id"].(string)
		if !ok {
			continue
		}
		if n, ok := values(s.GetAttributes())["smithproxy.connection.ordinal"].(int64); ok {
			id = fmt.Sprintf("%s#%d", id, n)
		}
		want := traceid.Of(s.resource["service.instance.id"].(string), id)
		if s.traceID() != want.TraceString() || s.spanID() != want.SpanString() {
			t.Errorf("root of %s is %s/%s", id, s.traceID(), s.spanID())
		}
	}
}

// summary counts spans by all that has few values, and adds up what is a number.
func summary(spans []received) string {
	counts, sums := map[string]int{}, map[string]float64{}
	for _, s := range spans {
		counts["name "+s.GetName()]++
		counts["status "+s.GetStatus().GetCode().String()]++
		counts["events"] += len(s.GetEvents())
		sums["seconds"] += endOf(s).Sub(startOf(s)).Seconds()
		for key, v := range values(s.GetAttributes()) {
			switch v := v.(type) {
			case int64:
				sums[key] += float64(v)
			case float64:
				sums[key] += v
			}
			counts["has "+key]++
		}
		counts["reason "+fmt.Sprint(values(s.GetAttributes())["smithproxy.close.reason"])]++
	}
	var out strings.Builder
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		fmt.Fprintf(&out, "%d %s\n", counts[k], k)
	}
	for _, k := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&out, "%.6g sum of %s\n", sums[k], k)
	}
	return out.String()
}

func kindOf(s received) string {
	return strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_")
}

func startOf(s received) time.Time { return time.Unix(0, int64(s.GetStartTimeUnixNano())).UTC() }
func endOf(s received) time.Time   { return time.Unix(0, int64(s.GetEndTimeUnixNano())).UTC() }
