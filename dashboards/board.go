package dashboards

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

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
		Annotations: dashboard.AnnotationContainer{List: annotations()},
	}
	for _, v := range b.variables {
		variable, err := v.Build()
		if err != nil {
			return d, err
		}
		d.Templating.List = append(d.Templating.List, variable)
	}
	g := grid{board: &d, ids: map[string]uint32{}}
	for _, r := range b.rows {
		if err := g.add(r); err != nil {
			return d, fmt.Errorf("row %q: %w", r.title, err)
		}
	}
	return d, g.resolve()
}

// grid places panels next to each other, and starts a new line when one is full.
type grid struct {
	board  *model
	id     uint32
	x, y   uint32
	height uint32 // of the line that is being filled

	ids map[string]uint32 // of panels by title; 0 for a title that two panels have
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
	id, own := g.id, g.id
	panel.Id, panel.GridPos.X, panel.GridPos.Y = &own, g.x, g.y
	if panel.Title != nil {
		if _, twice := g.ids[*panel.Title]; twice {
			id = 0
		}
		g.ids[*panel.Title] = id
	}
	g.x += panel.GridPos.W
	g.height = max(g.height, panel.GridPos.H)
	return panel, nil
}

func (g *grid) wrap() {
	g.x, g.y, g.height = 0, g.y+g.height, 0
}

// resolve puts the ids of panels into links that name a panel of the dashboard, see toPanel.
func (g *grid) resolve() error {
	for _, p := range g.board.Panels {
		if p.Panel == nil || p.Panel.FieldConfig == nil {
			continue
		}
		for i, link := range p.Panel.FieldConfig.Defaults.Links {
			if link.Url == nil {
				continue
			}
			before, title, ok := strings.Cut(*link.Url, panelMark)
			if !ok {
				continue
			}
			id := g.ids[title]
			if id == 0 {
				return fmt.Errorf("a link to %q, which is not the title of exactly one panel", title)
			}
			url := before + strconv.Itoa(int(id))
			p.Panel.FieldConfig.Defaults.Links[i].Url = &url
		}
	}
	return nil
}
