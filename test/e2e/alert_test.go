//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// notification is one alert of what Alertmanager delivers.
type notification struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// receiver is the webhook that Alertmanager notifies.
type receiver struct {
	url string

	mu       sync.Mutex
	received []notification
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	var message struct {
		Alerts []notification `json:"alerts"`
	}
	if err := json.NewDecoder(request.Body).Decode(&message); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.received = append(r.received, message.Alerts...)
}

// of returns what was delivered of one alert, in order.
func (r *receiver) of(alert string) []notification {
	r.mu.Lock()
	defer r.mu.Unlock()
	var found []notification
	for _, n := range r.received {
		if n.Labels["alertname"] == alert {
			found = append(found, n)
		}
	}
	return found
}

// impatient is the shipped rules, but for a shorter wait for a proxy that is down.
func impatient(t *testing.T) string {
	t.Helper()
	shipped, err := os.ReadFile(filepath.Join(root, "alerts", "smithproxy.rules.yml"))
	if err != nil {
		t.Fatal(err)
	}
	const patient = "max without (instance, pod) (smithproxy_up) == 0\n        for: 1m\n"
	if strings.Count(string(shipped), patient) != 1 {
		t.Fatalf("SmithproxyDown no longer has the lines that the test replaces: %q", patient)
	}
	return strings.Replace(string(shipped), patient, strings.Replace(patient, "1m", "2s", 1), 1)
}

// alert switches one proxy off, and on again.
func (s *servers) alert(t *testing.T) {
	const alert = "SmithproxyDown"
	if early := s.receiver.of(alert); len(early) > 0 {
		t.Fatalf("%s was delivered while all proxies pinged: %v", alert, early)
	}
	status := func(want string) func() error {
		return func() error {
			delivered := s.receiver.of(alert)
			if slices.ContainsFunc(delivered, func(n notification) bool {
				return n.Status == want && n.Labels["source"] == quiet
			}) {
				return nil
			}
			return fmt.Errorf("delivered: %v", delivered)
		}
	}
	s.branch.kill()
	eventually(t, time.Minute, alert+" is delivered", status("firing"), s.processes...)
	s.branch = s.simulate(t, strings.TrimSuffix(quiet, "1"), "--proxies=1", "--rate=5", "--seed=2")
	eventually(t, time.Minute, alert+" is resolved", status("resolved"), s.processes...)

	for _, n := range s.receiver.of(alert) {
		if n.Labels["source"] != quiet || n.Labels["severity"] != "critical" {
			t.Errorf("%s has the labels %v", alert, n.Labels)
		}
		if !strings.Contains(n.Annotations["summary"], quiet) {
			t.Errorf("summary of %s: %q", alert, n.Annotations["summary"])
		}
		if url := n.Annotations["runbook_url"]; url != "https://docs.example.com/smithproxy_exporter/alerts#smithproxydown" {
			t.Errorf("runbook_url of %s: %q", alert, url)
		}
		if url := n.Annotations["dashboard_url"]; url != "https://grafana.example.com/d/smithproxy-fleet?var-source="+quiet {
			t.Errorf("dashboard_url of %s: %q", alert, url)
		}
		t.Logf("%s: %s\n%s\n%s\n%s", n.Status, n.Annotations["summary"], n.Annotations["description"], n.Annotations["runbook_url"], n.Annotations["dashboard_url"])
	}
	// Its second life is another boot.
	s.has(t, `smithproxy_restarts_total{source="`+quiet+`"} == 1`)
}
