package dashboards

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
)

// TestSchema reads the dashboards as current versions of Grafana describe them: strictly, with the options of each
// panel and the fields of each query.
func TestSchema(t *testing.T) {
	for name := range checkedIn(t) {
		text, err := os.ReadFile(filepath.Join("grafana", name))
		if err != nil {
			t.Fatal(err)
		}
		if fault := schemaFault(text); fault != "" {
			t.Errorf("%s: %s", name, fault)
		}
	}
}

// schemaFault returns what a current Grafana would not understand, or "".
func schemaFault(dashboard []byte) string {
	plugins.RegisterDefaultPlugins()
	var d model
	// The SDK returns a list of errors that is empty, and not nil, for a valid dashboard.
	if err := d.UnmarshalJSONStrict(dashboard); err != nil && err.Error() != "" {
		return err.Error()
	}
	if err := d.Validate(); err != nil {
		return err.Error()
	}
	return ""
}

// TestSchemaFaults checks that schemaFault finds what it should.
func TestSchemaFaults(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("grafana", "traffic.json"))
	if err != nil {
		t.Fatal(err)
	}
	for name, replacement := range map[string][2]string{
		"unknown field of the dashboard": {`"schemaVersion"`, `"schemaVersions"`},
		"unknown option of a panel":      {`"graphMode"`, `"graphModes"`},
		"unknown setting of a series":    {`"fillOpacity"`, `"fillOpacities"`},
		"unknown field of a query":       {`"legendFormat"`, `"legendFormats"`},
		"value of the wrong type":        {`"editable": true`, `"editable": "yes"`},
	} {
		wrong := bytes.ReplaceAll(text, []byte(replacement[0]), []byte(replacement[1]))
		if bytes.Equal(wrong, text) || schemaFault(wrong) == "" {
			t.Errorf("%s: not found", name)
		}
	}
}
