//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"smithproxy_exporter/alerts"
)

// shippedRules are the rules of alerts/.
func shippedRules(t *testing.T) []alerts.Rule {
	t.Helper()
	rules, err := alerts.Rules()
	if err != nil || len(rules) == 0 {
		t.Fatalf("%d rules: %v", len(rules), err)
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

// routes lets amtool say who is notified by the routes that are shipped: nobody of an info.
func routes(t *testing.T) {
	configuration := filepath.Join(root, "alerts", "alertmanager.yml")
	for _, r := range shippedRules(t) {
		if r.Alert == "" {
			continue
		}
		receiver, ok := map[string]string{"critical": "pager", "warning": "ticket", "info": "nobody"}[r.Labels["severity"]]
		if !ok {
			t.Errorf("%s has the severity %q", r.Alert, r.Labels["severity"])
		}
		out, err := exec.CommandContext(t.Context(), "amtool", "config", "routes", "test", "--config.file="+configuration,
			"--verify.receivers="+receiver, "alertname="+r.Alert, "severity="+r.Labels["severity"]).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", r.Alert, err, out)
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

// forget has a proxy ping, and the exporter forget it.
func (s *servers) forget(t *testing.T, source string) {
	t.Helper()
	body := `{"action":"ping","type":"proxy","source":"` + source + `","instance":"Proxy-A1","proxies":[]}`
	for _, request := range []struct{ method, url, body string }{
		{http.MethodPost, "http://" + s.webhook + "/webhook/" + secret, body},
		{http.MethodDelete, "http://" + s.exporter + "/api/v1/proxies/" + source, ""},
	} {
		r, err := http.NewRequestWithContext(t.Context(), request.method, request.url, strings.NewReader(request.body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode/100 != 2 {
			t.Fatalf("%s %s is answered %s", request.method, request.url, response.Status)
		}
	}
}

// rules asks Prometheus every expression of the rules. Those that record give something; those that
// alert need not.
func (s *servers) rules(t *testing.T) {
	s.forget(t, "gone-1")
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
