package dashboards

import (
	"slices"
	"strings"
	"testing"
)

// known are the panel types of Grafana 9.4 that newer versions still have.
var known = []string{"row", "timeseries", "stat", "table", "heatmap", "bargauge", "state-timeline", "text"}

func TestPanels(t *testing.T) {
	for name, d := range checkedIn(t) {
		t.Run(name, func(t *testing.T) {
			ids := map[int]string{}
			for _, p := range d.everyPanel() {
				if other, ok := ids[p.ID]; ok || p.ID == 0 {
					t.Errorf("%q has the id %d of %q", p.Title, p.ID, other)
				}
				ids[p.ID] = p.Title
				checkPanel(t, p)
			}
		})
	}
}

func checkPanel(t *testing.T, p panelJSON) {
	t.Helper()
	if p.Title == "" {
		t.Errorf("panel %d has no title", p.ID)
	}
	if !slices.Contains(known, p.Type) {
		t.Errorf("%q is of kind %q, which not every Grafana has", p.Title, p.Type)
	}
	if p.Type == "row" {
		return
	}
	if p.Description == "" {
		t.Errorf("%q has no description", p.Title)
	}
	if p.Type == "text" {
		return
	}
	if p.FieldConfig.Defaults.Unit == "" {
		t.Errorf("%q has no unit", p.Title)
	}
	if !p.Datasource.variable() || len(p.Targets) == 0 {
		t.Errorf("%q has no data source by variable, or no query", p.Title)
	}
	if p.Type == "stat" && len(p.FieldConfig.Defaults.Links) == 0 {
		t.Errorf("%q leads to no detail", p.Title)
	}
	refs := map[string]bool{}
	for _, q := range p.Targets {
		if q.RefID == "" || refs[q.RefID] {
			t.Errorf("%q has two queries %q", p.Title, q.RefID)
		}
		refs[q.RefID] = true
		if !q.Datasource.variable() {
			t.Errorf("%q asks a data source that is no variable", p.Title)
		}
		if q.Expr == "" && q.Query == "" && q.Datasource.Type != "jaeger" {
			t.Errorf("%q has an empty query", p.Title)
		}
	}
}

func (d *datasourceJSON) variable() bool {
	return d != nil && d.Type != "" && strings.HasPrefix(d.UID, "${") && strings.HasSuffix(d.UID, "}")
}

func TestGrid(t *testing.T) {
	for name, d := range checkedIn(t) {
		t.Run(name, func(t *testing.T) {
			panels := d.everyPanel()
			for i, p := range panels {
				g := p.GridPos
				if g.W <= 0 || g.H <= 0 || g.X < 0 || g.X+g.W > columns {
					t.Errorf("%q is not within the %d columns: %+v", p.Title, columns, g)
				}
				for _, other := range panels[:i] {
					if g.overlaps(other.GridPos) {
						t.Errorf("%q lies over %q", p.Title, other.Title)
					}
				}
			}
		})
	}
}

func (r rectangle) overlaps(o rectangle) bool {
	return r.X < o.X+o.W && o.X < r.X+r.W && r.Y < o.Y+o.H && o.Y < r.Y+r.H
}

// TestLines checks that the panels of a line have the same height and fill the width.
func TestLines(t *testing.T) {
	for name, d := range checkedIn(t) {
		widths, heights := map[int]int{}, map[int]int{}
		for _, p := range d.everyPanel() {
			g := p.GridPos
			widths[g.Y] += g.W
			if h, ok := heights[g.Y]; ok && h != g.H {
				t.Errorf("%s: %q is %d high, its neighbor %d", name, p.Title, g.H, h)
			}
			heights[g.Y] = g.H
		}
		for y, w := range widths {
			if w != columns {
				t.Errorf("%s: the line at %d is %d wide", name, y, w)
			}
		}
	}
}

func TestBoards(t *testing.T) {
	list := checkedIn(t)
	for name, d := range list {
		if d.UID == "" || d.Title == "" || d.Description == "" || d.SchemaVersion != schemaVersion {
			t.Errorf("%s lacks what a dashboard says of itself", name)
		}
		var to []string
		for _, l := range d.Links {
			to = append(to, strings.TrimPrefix(l.URL, "/d/"))
			if !l.KeepTime || !l.IncludeVars {
				t.Errorf("%s: the link to %s forgets the time or what was chosen", name, l.URL)
			}
		}
		for _, other := range list {
			if !slices.Contains(to, other.UID) {
				t.Errorf("%s has no link to %s", name, other.UID)
			}
		}
		if len(d.Annotations.List) != len(annotations()) {
			t.Errorf("%s has %d annotations", name, len(d.Annotations.List))
		}
		if !slices.ContainsFunc(d.Templating.List, func(v variableJSON) bool { return v.Name == "source" }) {
			t.Errorf("%s has no variable source", name)
		}
	}
}
