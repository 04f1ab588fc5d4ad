package dashboards

import (
	"errors"
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// model is the classic dashboard, which every Grafana from 9.4 on reads. Grafana 9.4 does not know the newer one.
//
//lint:ignore SA1019 see above
type model = dashboard.Dashboard

const (
	uidPrefix = "smithproxy-"
	tag       = "smithproxy"

	// schemaVersion is the version of Grafana 9.4. Newer Grafanas migrate it when they load a dashboard. With a
	// newer version here, 9.4 would not migrate at all.
	schemaVersion = 37

	columns = 24
)

// board is a dashboard of rows.
type board struct {
	uid, title, description string
	link                    string // the title in links, where there is little room
	variables               []cog.Builder[dashboard.VariableModel]
	rows                    []row
}

// row is a group of panels below a title. The first row of a dashboard needs no title.
type row struct {
	title     string
	collapsed bool
	panels    []cog.Builder[dashboard.Panel]
}

func (b *board) build() (model, error) {
	yes, refresh, from, to, timezone := true, "30s", "now-1h", "now", "browser"
	cursor := dashboard.DashboardCursorSyncCrosshair
	d := model{
		Uid: &b.uid, Title: &b.title, Description: &b.description, Tags: []string{tag},
		SchemaVersion: schemaVersion, Editable: &yes, Refresh: &refresh, GraphTooltip: &cursor,
		Timezone: &timezone, Links: links(),
		Time:        &dashboard.DashboardDashboardTime{From: from, To: to},
		Annotations: dashboard.AnnotationContainer{List: []dashboard.AnnotationQuery{}},
	}
	for _, v := range b.variables {
		variable, err := v.Build()
		if err != nil {
			return d, err
		}
		d.Templating.List = append(d.Templating.List, variable)
	}
	g := grid{board: &d}
	for _, r := range b.rows {
		if err := g.add(r); err != nil {
			return d, fmt.Errorf("row %q: %w", r.title, err)
		}
	}
	return d, nil
}

// grid places panels next to each other, and starts a new line when one is full.
type grid struct {
	board  *model
	id     uint32
	x, y   uint32
	height uint32 // of the line that is being filled
}

func (g *grid) add(r row) error {
	g.wrap()
	var heading *dashboard.RowPanel
	if r.title != "" {
		g.id++
		heading = &dashboard.RowPanel{
			Type: "row", Id: g.id, Title: &r.title, Collapsed: r.collapsed,
			GridPos: &dashboard.GridPos{Y: g.y, W: columns, H: 1}, Panels: []dashboard.Panel{},
		}
		g.board.Panels = append(g.board.Panels, dashboard.PanelOrRowPanel{RowPanel: heading})
		g.y++
	}
	for _, p := range r.panels {
		panel, err := g.place(p)
		if err != nil {
			return err
		}
		if r.collapsed {
			heading.Panels = append(heading.Panels, panel)
		} else {
			g.board.Panels = append(g.board.Panels, dashboard.PanelOrRowPanel{Panel: &panel})
		}
	}
	return nil
}

func (g *grid) place(p cog.Builder[dashboard.Panel]) (dashboard.Panel, error) {
	panel, err := p.Build()
	if err != nil {
		return panel, err
	}
	if panel.GridPos == nil || panel.GridPos.W == 0 || panel.GridPos.H == 0 {
		return panel, errors.New("a panel without a size")
	}
	if g.x+panel.GridPos.W > columns {
		g.wrap()
	}
	g.id++
	id := g.id
	panel.Id, panel.GridPos.X, panel.GridPos.Y = &id, g.x, g.y
	g.x += panel.GridPos.W
	g.height = max(g.height, panel.GridPos.H)
	return panel, nil
}

func (g *grid) wrap() {
	g.x, g.y, g.height = 0, g.y+g.height, 0
}
