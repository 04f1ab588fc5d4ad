package page

import (
	"net/http"
	"net/url"

	"smithproxy_exporter/exporter/web/api"
)

// topView is a table of the values with the most traffic.
type topView struct {
	Choices      []tabs
	Heading      string
	From         when
	Rows         []topRow
	Other, Total *topRow
}

// tabs are choices of which one is current.
type tabs struct {
	Label string
	Tabs  []tab
}

type tab struct {
	Text, Path string
	Current    bool
}

type topRow struct {
	Rank                         int
	Value                        string
	Path                         string
	Bytes, Up, Down, Connections string
	Share                        string
	// Width is the length of the bar, of 100.
	Width int
}

// The words of the dimensions, windows and orders.
var (
	dimensionWords = map[string]string{"client": "Clients", "server": "Servers", "sni": "SNIs", "app": "Applications"}
	windowWords    = map[string]string{"5m": "5 minutes", "1h": "1 hour", "24h": "24 hours"}
	orderWords     = map[string]string{"bytes": "Bytes", "connections": "Connections"}
)

// top serves /top. Its parameters are dimension, window and order.
func (p *Pages) top(w http.ResponseWriter, r *http.Request) {
	values := r.URL.Query()
	q := api.TopQuery{
		Dimension: firstOf(values.Get("dimension"), api.TopDimensions[0]), Window: firstOf(values.Get("window"), api.TopWindows[0]),
		Order: firstOf(values.Get("order"), api.TopOrders[0]), Limit: 50,
	}
	t, err := p.Data.Top(r.Context(), q)
	if err != nil {
		p.fail(w, "top", err)
		return
	}
	v := topView{From: full(t.From), Heading: dimensionWords[q.Dimension] + " by " + q.Order}
	choose := func(label, name, current string, all []string, words map[string]string) {
		group := tabs{Label: label}
		for _, value := range all {
			next := url.Values{"dimension": {q.Dimension}, "window": {q.Window}, "order": {q.Order}}
			next.Set(name, value)
			group.Tabs = append(group.Tabs, tab{words[value], address("/top", next), value == current})
		}
		v.Choices = append(v.Choices, group)
	}
	choose("What", "dimension", q.Dimension, api.TopDimensions, dimensionWords)
	choose("Time", "window", q.Window, api.TopWindows, windowWords)
	choose("Order", "order", q.Order, api.TopOrders, orderWords)
	measure := func(r api.TopRow) float64 {
		if q.Order == "connections" {
			return float64(r.Connections)
		}
		return float64(r.Bytes())
	}
	most, total := 0.0, measure(t.Total)
	for _, row := range append(t.Rows, t.Other) {
		most = max(most, measure(row))
	}
	newRow := func(r api.TopRow) *topRow {
		shown := &topRow{
			Value: r.Value, Bytes: iec(float64(r.Bytes())), Up: iec(float64(r.BytesUp)), Down: iec(float64(r.BytesDown)),
			Connections: count(int64(r.Connections)), Share: percent(measure(r), total),
		}
		if most > 0 {
			shown.Width = int(measure(r) / most * 100)
		}
		return shown
	}
	for i, row := range t.Rows {
		shown := newRow(row)
		shown.Rank, shown.Path = i+1, searchPath(q.Dimension, row.Value)
		v.Rows = append(v.Rows, *shown)
	}
	if t.Other.Connections > 0 || t.Other.Bytes() > 0 {
		v.Other = newRow(t.Other)
	}
	v.Total = newRow(t.Total)
	p.render(w, http.StatusOK, "top", view{Title: "Top " + v.Heading, Nav: "top", Refresh: 10, Page: v})
}
