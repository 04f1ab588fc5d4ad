package page

import (
	"net/http"
	"strconv"
	"time"

	"smithproxy_exporter/exporter/web/api"
)

// statusView is the state of the exporter itself.
type statusView struct {
	api.Status
	Exporter, Store, Past, Spans []fact
	Listeners                    []listenerRow
	Lists                        []listRow
	// Button tells that the configuration can be reloaded here, Last when it was loaded.
	Button bool
	Last   *when
	// StoreUsed and HistoryUsed are how full they are, in percent.
	StoreUsed, HistoryUsed int
}

type listenerRow struct{ Name, Address, TLS, Connections string }

// status serves /status.
func (p *Pages) status(w http.ResponseWriter, r *http.Request) {
	s, err := p.Data.Status(r.Context())
	if err != nil {
		p.fail(w, "status", err)
		return
	}
	now := p.Now()
	v := statusView{
		Status: s, Exporter: exporterFacts(now, s), Store: storeFacts(s.Storage), Past: historyFacts(now, s.History), Spans: queueFacts(now, s.Queue),
		Lists: newLists(now, s.Lists), Button: p.Reload != nil,
		StoreUsed: used(s.Storage.Bytes, s.Storage.MaxBytes), HistoryUsed: used(s.History.Bytes, s.History.MaxBytes),
	}
	if !s.Reload.Last.IsZero() {
		last := full(s.Reload.Last)
		v.Last = &last
	}
	for _, l := range s.Listeners {
		row := listenerRow{Name: l.Name, Address: l.Address, TLS: "no", Connections: unknown}
		if l.TLS {
			row.TLS = "yes"
		}
		if l.Connections != nil {
			row.Connections = count(int64(*l.Connections))
		}
		v.Listeners = append(v.Listeners, row)
	}
	p.render(w, http.StatusOK, "status", view{Title: "Status", Nav: "status", Now: now, Refresh: 10, Page: v})
}

func used(bytes, most int64) int {
	if most <= 0 {
		return 0
	}
	return int(min(100, bytes*100/most))
}

func of(bytes, most int64) string {
	if most <= 0 {
		return iec(float64(bytes))
	}
	return iec(float64(bytes)) + " of " + iec(float64(most))
}

func exporterFacts(now time.Time, s api.Status) []fact {
	var l list
	l.add("Version", s.Version, "")
	l.code("Revision", s.Revision, "")
	l.add("Go", s.GoVersion, "")
	l.at("Started", s.Started, false)
	if !s.Started.IsZero() {
		l.add("Running for", lasting(now.Sub(s.Started).Seconds()), "")
	}
	l.add("Proxies", count(int64(s.Proxies)), "")
	l.add("Open connections", count(int64(s.Connections)), "")
	return l
}

func storeFacts(s api.Storage) []fact {
	var l list
	l.code("Directory", s.Path, "")
	l.add("Size", of(s.Bytes, s.MaxBytes), "storage.max_size")
	if s.Behind {
		l.add("State", "behind", "the disk fails; events are acknowledged from memory")
	} else {
		l.add("State", "up to date", "")
	}
	return l
}

func historyFacts(now time.Time, h api.HistoryStatus) []fact {
	var l list
	if !h.Enabled {
		l.add("State", "off", "history.max_age is 0")
		return l
	}
	l.add("Connections", count(h.Connections), "")
	l.add("Size", of(h.Bytes, h.MaxBytes), "history.max_size")
	if !h.Oldest.IsZero() {
		l.add("Reaches back", lasting(now.Sub(h.Oldest).Seconds()), "")
	}
	l.add("At most", lasting(h.MaxAge), "history.max_age")
	return l
}

func queueFacts(now time.Time, q api.Queue) []fact {
	var l list
	if !q.Enabled {
		l.add("State", "off", "there is no otlp.endpoint, traces are not sent")
		return l
	}
	l.add("Waiting", strconv.Itoa(q.Spans)+" spans", "")
	l.add("Size", iec(float64(q.Bytes)), "")
	if q.Oldest.IsZero() {
		l.add("Oldest", "none waits", "")
	} else {
		l.add("Oldest", ago(now, q.Oldest), "")
	}
	return l
}

// reload reloads the configuration and returns to the page, which shows the result.
func (p *Pages) reload(w http.ResponseWriter, r *http.Request) {
	// The status says whether it failed, and why.
	_ = p.Reload(r.Context())
	http.Redirect(w, r, "/status#configuration", http.StatusSeeOther)
}
