//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// rule is an entry of a rules file.
type rule struct {
	Record      string            `yaml:"record"`
	Alert       string            `yaml:"alert"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// shippedRules are the rules of alerts/.
func shippedRules(t *testing.T) []rule {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "alerts", "smithproxy.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	var rules []rule
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	if len(rules) == 0 {
		t.Fatal("there are no rules")
	}
	return rules
}

// promtool lets promtool check the rules, and run their cases.
func promtool(t *testing.T) {
	for _, c := range []struct{ command, files string }{{"check", "*.rules.yml"}, {"test", "*.test.yml"}} {
		files, err := filepath.Glob(filepath.Join(root, "alerts", c.files))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", c.files, files, err)
		}
		args := append([]string{c.command, "rules"}, files...)
		if out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// runbooks holds the alerts against docs/alerts.md: each has all that an operator needs, and a section.
func runbooks(t *testing.T) {
	const page = "docs/alerts.md"
	content, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	cases, err := os.ReadFile(filepath.Join(root, "alerts", "smithproxy.test.yml"))
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{}
	for line := range strings.Lines(string(content)) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			sections[strings.TrimSpace(title)] = true
		}
	}
	for _, r := range shippedRules(t) {
		if r.Alert == "" {
			continue
		}
		if r.For == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s lacks for, severity, summary or description", r.Alert)
		}
		if got, want := r.Annotations["runbook_url"], page+"#"+strings.ToLower(r.Alert); got != want {
			t.Errorf("%s: runbook_url is %q, want %q", r.Alert, got, want)
		}
		if !sections[r.Alert] {
			t.Errorf("%s has no section %q", page, "## "+r.Alert)
		}
		if !strings.Contains(string(cases), "alertname: "+r.Alert+"\n        exp_alerts:") {
			t.Errorf("%s: no case lets it fire", r.Alert)
		}
	}
}

// metricName finds the metrics that an expression is about.
var metricName = regexp.MustCompile(`\bsmithproxy_[a-z0-9_]*[a-z0-9]\b`)

// unknown fails when an expression names a metric that Prometheus has not: an expression that falls
// back to zero, or that only has data when something is wrong, would not show that it is misspelt.
func unknown(expr string, names map[string]bool) error {
	var errs []error
	for _, name := range metricName.FindAllString(expr, -1) {
		if !names[name] {
			errs = append(errs, fmt.Errorf("there is no metric %s", name))
		}
	}
	return errors.Join(errs...)
}

// rules asks Prometheus every expression of the rules. Those that record give something; those that
// alert need not.
func (s *servers) rules(t *testing.T) {
	for _, r := range shippedRules(t) {
		eventually(t, time.Minute, r.Record+r.Alert, func() error {
			names, err := s.names()
			if err != nil {
				return err
			}
			if r.Record != "" {
				err = s.some(r.Expr)
			} else {
				_, err = s.query(r.Expr)
			}
			// Recorded names have one of these before and a colon in them.
			return errors.Join(err, unknown(regexp.MustCompile(`source:\S*?:\w+`).ReplaceAllString(r.Expr, ""), names))
		}, s.processes...)
	}
	eventually(t, time.Minute, "Prometheus evaluates the rules", s.rulesHealthy, s.processes...)
}

// rulesHealthy fails unless Prometheus has rules and has evaluated all of them.
func (s *servers) rulesHealthy() error {
	var reply struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	if err := get("http://"+s.prometheus+"/api/v1/rules", &reply); err != nil {
		return err
	}
	if len(reply.Data.Groups) == 0 {
		return errors.New("there are no rules")
	}
	for _, group := range reply.Data.Groups {
		for _, r := range group.Rules {
			if r.Health != "ok" {
				return fmt.Errorf("rule %s is %s: %s", r.Name, r.Health, r.LastError)
			}
		}
	}
	return nil
}
