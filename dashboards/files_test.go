package dashboards

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// TestFiles compares the JSON files with the code.
func TestFiles(t *testing.T) {
	files, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("grafana", name))
		if err != nil {
			t.Errorf("%v; run make dashboards", err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("grafana/%s differs from what the code gives; run make dashboards", name)
		}
	}
	checkedIn, err := filepath.Glob("grafana/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range checkedIn {
		if _, ok := files[filepath.Base(path)]; !ok {
			t.Errorf("%s comes from no dashboard; run make dashboards", path)
		}
	}
}
