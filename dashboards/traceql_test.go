package dashboards

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestTraceQL compares the attributes that searches ask for with those of docs/traces.md.
func TestTraceQL(t *testing.T) {
	page, err := os.ReadFile("../docs/traces.md")
	if err != nil {
		t.Fatal(err)
	}
	attribute := regexp.MustCompile(`\b(?:span|resource)\.([a-z0-9_.]+)`)
	searches := 0
	for name, d := range checkedIn(t) {
		for _, p := range d.everyPanel() {
			for _, q := range p.Targets {
				if q.Datasource.Type != "tempo" {
					continue
				}
				searches++
				for _, match := range attribute.FindAllStringSubmatch(q.Query, -1) {
					if !strings.Contains(string(page), "`"+match[1]+"`") {
						t.Errorf("%s, %s: spans have no attribute %s", name, p.Title, match[1])
					}
				}
				if !strings.Contains(q.Query, "| select(") || !strings.HasSuffix(q.Query, "with (most_recent=true)") {
					t.Errorf("%s, %s: not the latest connections with their attributes: %s", name, p.Title, q.Query)
				}
			}
		}
	}
	if searches == 0 {
		t.Error("no search")
	}
}
