package alerts

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// every returns the alerts.
func every(t *testing.T) []Rule {
	t.Helper()
	rules, err := Rules()
	if err != nil {
		t.Fatal(err)
	}
	var list []Rule
	for _, r := range rules {
		if r.Alert != "" {
			list = append(list, r)
		}
	}
	if len(list) == 0 {
		t.Fatal("there are no alerts")
	}
	return list
}

// TestLinks checks that exactly one rule has the addresses of dashboards and runbooks, the first.
func TestLinks(t *testing.T) {
	rules, err := Rules()
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range rules {
		if (i == 0) != (r.Record == "smithproxy:links") {
			t.Errorf("rule %d is %s%s", i, r.Record, r.Alert)
		}
	}
	for _, name := range []string{"dashboards", "runbooks"} {
		address := rules[0].Labels[name]
		if !strings.HasPrefix(address, "https://") || strings.Count(string(file), address) != 1 {
			t.Errorf("%s: %q is not an address that is there once", name, address)
		}
	}
}

// link is the template of an address that the rule smithproxy:links has.
func link(name string) string {
	return `{{ with query "smithproxy:links" }}{{ . | first | label "` + name + `" }}{{ end }}`
}

var (
	// dashboardURL is what follows the address: a dashboard, and at most one choice.
	dashboardURL = regexp.MustCompile(`^/d/smithproxy-(fleet|traffic|hosts|access|exporter)(\?var-(source|instance)=\{\{ \$labels\.(source|instance) \| urlquery \}\})?$`)
	// interval is an interval in a text, which a setting of a proxy or of the rule can make wrong.
	interval = regexp.MustCompile(`(?i)\b(\d+|one|two|three|five|ten|fifteen)[- ](seconds?|minutes?|hours?|days?)\b`)
)

// TestTexts checks what each alert says.
func TestTexts(t *testing.T) {
	for _, r := range every(t) {
		summary, description := r.Annotations["summary"], r.Annotations["description"]
		if r.For == "" || summary == "" || strings.Count(description, " First: ") != 1 {
			t.Errorf("%s lacks for, a summary, or what to do first", r.Alert)
		}
		if found := interval.FindString(summary + description); found != "" {
			t.Errorf("%s names an interval: %s", r.Alert, found)
		}
		if severity := r.Labels["severity"]; severity != "critical" && severity != "warning" && severity != "info" {
			t.Errorf("%s has the severity %q", r.Alert, severity)
		}
		if url := r.Annotations["runbook_url"]; url != link("runbooks")+"#"+strings.ToLower(r.Alert) {
			t.Errorf("%s: runbook_url is %q", r.Alert, url)
		}
		if url := r.Annotations["dashboard_url"]; !dashboardURL.MatchString(strings.TrimPrefix(url, link("dashboards"))) {
			t.Errorf("%s: dashboard_url is %q", r.Alert, url)
		}
	}
}

// TestRunbooks checks that each alert has a section in docs/alerts.md, and a case in which it fires with its text.
func TestRunbooks(t *testing.T) {
	page, err := os.ReadFile("../docs/alerts.md")
	if err != nil {
		t.Fatal(err)
	}
	cases, err := os.ReadFile("smithproxy.test.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range every(t) {
		if !strings.Contains(string(page), "\n## "+r.Alert+"\n") {
			t.Errorf("docs/alerts.md has no section of %s", r.Alert)
		}
		if !strings.Contains(string(cases), "alertname: "+r.Alert+"\n        exp_alerts:") {
			t.Errorf("no case lets %s fire", r.Alert)
		}
	}
}
