package config_test

import (
	"strings"
	"testing"

	"smithproxy_exporter/exporter/config"
	"smithproxy_exporter/exporter/webhook"
)

func TestChangedSections(t *testing.T) {
	a, b := config.Default(), config.Default()
	b.Access.DryRun, b.Positions.Path = true, "x"
	if got := a.ChangedSections(b, "access"); got != nil {
		t.Errorf("changed %v, but only the ignored section did", got)
	}
	b.Metrics.MaxValues, b.Webhook.Secrets = 7, []webhook.Secret{{Secret: "a"}}
	if got := strings.Join(a.ChangedSections(b, "access"), " "); got != "webhook metrics" {
		t.Errorf("changed %s, want webhook metrics", got)
	}
	if got := strings.Join(a.ChangedSections(b), " "); got != "webhook access metrics" {
		t.Errorf("changed %s, want webhook access metrics", got)
	}
}
