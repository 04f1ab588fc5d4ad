package dashboards

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// The parts of a dashboard's JSON that the tests read.
type (
	dashboardJSON struct {
		UID           string      `json:"uid"`
		Title         string      `json:"title"`
		Description   string      `json:"description"`
		SchemaVersion int         `json:"schemaVersion"`
		Panels        []panelJSON `json:"panels"`
		Links         []linkJSON  `json:"links"`
		Templating    struct {
			List []variableJSON `json:"list"`
		} `json:"templating"`
		Annotations struct {
			List []annotationJSON `json:"list"`
		} `json:"annotations"`
	}
	panelJSON struct {
		ID          int             `json:"id"`
		Type        string          `json:"type"`
		Title       string          `json:"title"`
		Description string          `json:"description"`
		Datasource  *datasourceJSON `json:"datasource"`
		GridPos     rectangle       `json:"gridPos"`
		Targets     []targetJSON    `json:"targets"`
		Collapsed   bool            `json:"collapsed"`
		Panels      []panelJSON     `json:"panels"`
		FieldConfig struct {
			Defaults struct {
				Unit  string     `json:"unit"`
				Links []linkJSON `json:"links"`
			} `json:"defaults"`
			Overrides []struct {
				Properties []struct {
					ID    string `json:"id"`
					Value any    `json:"value"`
				} `json:"properties"`
			} `json:"overrides"`
		} `json:"fieldConfig"`
	}
	targetJSON struct {
		RefID      string          `json:"refId"`
		Expr       string          `json:"expr"`
		Query      string          `json:"query"`
		Format     string          `json:"format"`
		Exemplar   bool            `json:"exemplar"`
		Datasource *datasourceJSON `json:"datasource"`
	}
	variableJSON struct {
		Name       string          `json:"name"`
		Type       string          `json:"type"`
		Definition string          `json:"definition"`
		Datasource *datasourceJSON `json:"datasource"`
	}
	annotationJSON struct {
		Name       string          `json:"name"`
		Expr       string          `json:"expr"`
		Datasource *datasourceJSON `json:"datasource"`
	}
	linkJSON struct {
		URL         string `json:"url"`
		KeepTime    bool   `json:"keepTime"`
		IncludeVars bool   `json:"includeVars"`
	}
	datasourceJSON struct {
		Type string `json:"type"`
		UID  string `json:"uid"`
	}
	rectangle struct{ X, Y, W, H int }
)

// checkedIn returns the committed dashboards by file name.
func checkedIn(t *testing.T) map[string]dashboardJSON {
	t.Helper()
	paths, err := filepath.Glob("grafana/*.json")
	if err != nil || len(paths) != len(all) {
		t.Fatalf("%d dashboards, want %d: %v", len(paths), len(all), err)
	}
	list := map[string]dashboardJSON{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var d dashboardJSON
		if err := json.Unmarshal(text, &d); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		list[filepath.Base(path)] = d
	}
	return list
}

// everyPanel returns all panels, rows and the panels in collapsed rows included.
func (d dashboardJSON) everyPanel() []panelJSON {
	var list []panelJSON
	for _, p := range d.Panels {
		list = append(append(list, p), p.Panels...)
	}
	return list
}
