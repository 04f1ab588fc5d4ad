package dashboards

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"smithproxy_exporter/collector"
)

// ourMetrics returns the labels of each metric of the exporter.
func ourMetrics() map[string][]string {
	c := map[string][]string{"smithproxy_exporter_build_info": nil} // not in the catalog
	for _, e := range collector.Catalog() {
		c[e.Name] = e.Labels
	}
	return c
}

// labels are added by Prometheus, or by a histogram.
var labels = []string{"job", "instance", "le", "__name__"}

var (
	selector = regexp.MustCompile(`\b(smithproxy_[a-z0-9_]+)(?:{([^}]*)})?`)
	matcher  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)\s*"[^"]*"`)
)

// TestMetrics compares the queries with the metrics of the exporter. After a rename a panel would be empty without an
// error.
func TestMetrics(t *testing.T) {
	metrics := ourMetrics()
	unused := map[string]bool{}
	for name := range metrics {
		unused[name] = true
	}
	check := func(t *testing.T, where, expr string) {
		for _, match := range selector.FindAllStringSubmatch(expr, -1) {
			name := match[1]
			if _, ok := metrics[name]; !ok {
				name = regexp.MustCompile(`_(bucket|count|sum)$`).ReplaceAllString(name, "")
			}
			known, ok := metrics[name]
			if !ok {
				t.Errorf("%s asks for %s, which the exporter does not have", where, match[1])
				continue
			}
			delete(unused, name)
			for _, m := range matcher.FindAllStringSubmatch(match[2], -1) {
				if !slices.Contains(known, m[1]) && !slices.Contains(labels, m[1]) {
					t.Errorf("%s asks for the label %s, which %s does not have", where, m[1], name)
				}
			}
		}
	}
	for file, d := range checkedIn(t) {
		for _, v := range d.Templating.List {
			check(t, file+", variable "+v.Name, v.Definition)
		}
		for _, p := range d.everyPanel() {
			for _, q := range p.Targets {
				check(t, file+", "+p.Title, q.Expr)
			}
		}
	}
	for name := range unused {
		if !slices.Contains(notShown, name) {
			t.Errorf("no dashboard shows %s", name)
		}
	}
}

// notShown are metrics for ad hoc queries and alerts.
var notShown = []string{
	"smithproxy_instance_info",
	"smithproxy_exporter_config_last_reload_success_timestamp_seconds",
	"smithproxy_exporter_store_load_duration_seconds",
	"smithproxy_exporter_store_loaded_records",
}

// macros replaces variables as Grafana does.
var macros = strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h", "$__interval", "15s", "$top", "10")

var placeholder = regexp.MustCompile(`\$\{?[a-z_]+\}?`)

// TestQueries checks the syntax of queries roughly. The end-to-end tests run them on a real Prometheus.
func TestQueries(t *testing.T) {
	for file, d := range checkedIn(t) {
		variables := map[string]bool{}
		for _, v := range d.Templating.List {
			variables[v.Name] = true
		}
		for _, p := range d.everyPanel() {
			for _, q := range p.Targets {
				expr := macros.Replace(q.Expr)
				for _, name := range placeholder.FindAllString(expr+q.Query, -1) {
					if name = strings.Trim(name, "${}"); !variables[name] {
						t.Errorf("%s, %s: no variable %s", file, p.Title, name)
					}
				}
				if err := balanced(placeholder.ReplaceAllString(expr+q.Query, "x")); err != "" {
					t.Errorf("%s, %s: %s in %s", file, p.Title, err, expr)
				}
				if q.Format == "heatmap" && p.Type != "heatmap" {
					t.Errorf("%s, %s: buckets outside of a heatmap", file, p.Title)
				}
				if strings.Contains(q.Expr, "rate(") && !strings.Contains(q.Expr, "[$__") {
					t.Errorf("%s, %s: a rate over a fixed time", file, p.Title)
				}
			}
		}
	}
}

// balanced returns what is wrong with the brackets and quotes of a query, or "".
func balanced(expr string) string {
	closing := map[rune]rune{'(': ')', '[': ']', '{': '}'}
	var open []rune
	quoted, escaped := false, false
	for _, r := range expr {
		switch {
		case escaped:
			escaped = false
		case r == '\\':
			escaped = true
		case r == '"':
			quoted = !quoted
		case quoted:
		case closing[r] != 0:
			open = append(open, closing[r])
		case strings.ContainsRune(")]}", r):
			if len(open) == 0 || open[len(open)-1] != r {
				return "an unexpected " + string(r)
			}
			open = open[:len(open)-1]
		}
	}
	if quoted || len(open) > 0 {
		return "something is not closed"
	}
	return ""
}
