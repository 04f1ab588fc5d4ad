package page

import (
	"context"
	"net/http"
	"time"

	"smithproxy_exporter/exporter/web/api"
)

// overviewView is the state of all proxies.
type overviewView struct {
	Attention []attention
	Tiles     []tile
	Proxies   []proxyRow
	// Forget tells that proxies can be removed.
	Forget bool
}

type attention struct {
	api.Attention
	Text  long
	Since *when
	// Path is the page of the runbook, "" without one.
	Path string
}

// tile is a number of all proxies, with its course.
type tile struct {
	Label, Value string
	Spark        sparkline
}

type proxyRow struct {
	api.Proxy
	LastEvent, LastPing when
	// State is in words, Kind the class that colors it.
	State, Kind string
	// Measures are the open connections and the rates, in the order of the tiles.
	Measures []tile
	// Path is a search for its connections.
	Path string
	// ForgetPath is where it is removed, "" if it cannot be, or would come back at once.
	ForgetPath string
}

// The sizes of sparklines in pixels.
const (
	sparkWidth, sparkHeight = 72, 20
	tileWidth, tileHeight   = 260, 44
)

// overview serves /, the page of the first run until a proxy was seen.
func (p *Pages) overview(w http.ResponseWriter, r *http.Request) {
	o, err := p.Data.Overview(r.Context())
	if err != nil {
		p.fail(w, "overview", err)
		return
	}
	if len(o.Proxies) == 0 && r.URL.Path == "/" {
		if first, err := p.firstRun(r.Context()); err == nil && first {
			http.Redirect(w, r, "/setup", http.StatusSeeOther)
			return
		}
	}
	now := p.Now()
	v := overviewView{Forget: p.Forget != nil, Tiles: measures(o.Total, tileWidth, tileHeight)}
	for _, a := range o.Attention {
		v.Attention = append(v.Attention, newAttention(now, a))
	}
	for _, proxy := range o.Proxies {
		row := proxyRow{
			Proxy: proxy, LastEvent: age(now, proxy.LastEvent), LastPing: age(now, proxy.LastPing),
			Measures: measures(proxy.Activity, sparkWidth, sparkHeight), Path: searchPath("source", proxy.Source),
		}
		if p.Forget != nil && proxy.State != api.ProxyUp {
			row.ForgetPath = forgetPath(proxy.Source)
		}
		row.State, row.Kind = stateWords(proxy.State)
		v.Proxies = append(v.Proxies, row)
	}
	p.render(w, http.StatusOK, "overview", view{Title: "Overview", Nav: "overview", Now: now, Refresh: 5, Page: v})
}

// firstRun reports whether no proxy was ever seen.
func (p *Pages) firstRun(ctx context.Context) (bool, error) {
	s, err := p.Data.Setup(ctx)
	return err == nil && s.Proxies == 0 && !s.Pinged, err
}

func newAttention(now time.Time, a api.Attention) attention {
	shown := attention{Attention: a, Text: newLong(a.Text)}
	if a.Runbook != "" {
		shown.Path = runbookPath(a.Runbook)
	}
	if !a.Since.IsZero() {
		since := clock(now, a.Since)
		shown.Since = &since
	}
	return shown
}

func stateWords(s api.ProxyState) (words, kind string) {
	switch s {
	case api.ProxyUp:
		return "up", "good"
	case api.ProxySilent:
		return "silent", "bad"
	default:
		return "no ping yet", "warn"
	}
}

func measures(a api.Activity, width, height int) []tile {
	whole := func(f float64) string { return count(int64(f)) }
	rate := func(f float64) string { return iec(f) + "/s" }
	return []tile{
		{"Open connections", count(int64(a.Open)), newSparkline(a.Series.Open, width, height, whole)},
		{"Connections", perSecond(a.Connections), newSparkline(a.Series.Connections, width, height, perSecond)},
		{"Traffic", rate(a.Bytes), newSparkline(a.Series.Bytes, width, height, rate)},
		{"Rejects", perSecond(a.Rejects), newSparkline(a.Series.Rejects, width, height, perSecond)},
	}
}
