package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"

	"smithproxy_exporter/exporter/activity"
)

const (
	// handshakesFor is for how long a failed TLS handshake needs attention.
	handshakesFor = time.Hour
	// maxHandshakes and maxRefusals bound the items about one kind.
	maxHandshakes, maxRefusals = 5, 5
	// pendingFor is how old the oldest waiting span must be.
	pendingFor = 5 * time.Minute
)

// Overview returns the state of all proxies, and what needs attention. It does not wait for the state.
func (a *API) Overview(context.Context) (Overview, error) {
	o := Overview{At: a.Now().UTC(), Ready: a.System.Ready(), Proxies: []Proxy{}, Total: activityOf(a.Activity.Total())}
	for _, p := range a.Activity.Proxies() {
		shown := Proxy{
			Source: p.Status.Source, State: ProxySilent, Instance: p.Status.Instance, Generation: p.Generation, LastEvent: p.HeardAt.UTC(),
			LastPing: p.Status.PingedAt, Open: p.Status.Open, Neighbors: p.Status.Neighbors, Activity: activityOf(p.Rates),
		}
		if p.HeardAt.IsZero() {
			shown.LastEvent = time.Time{}
		}
		switch {
		case p.Status.Unknown:
			shown.State = ProxyUnknown
		case p.Status.Up:
			shown.State = ProxyUp
		}
		o.Proxies = append(o.Proxies, shown)
	}
	o.Attention = a.attention(&o)
	return o, nil
}

func activityOf(r activity.Rates) Activity {
	return Activity{
		Connections: r.Connections, Bytes: r.Bytes, Rejects: r.Rejects, Open: r.Open,
		Series: Series{
			End: r.End, Step: r.Step.Seconds(), Connections: r.Series.Connections, Bytes: r.Series.Bytes, Rejects: r.Series.Rejects,
			Open: r.Series.Open,
		},
	}
}

// attention returns what needs attention, the most severe first.
func (a *API) attention(o *Overview) []Attention {
	all := []Attention{}
	add := func(severity Severity, kind, source string, since time.Time, runbook, format string, args ...any) {
		all = append(all, Attention{
			Severity: severity, Kind: kind, Source: source, Since: since.UTC(), Runbook: runbook,
			RunbookURL: "/api/v1/runbooks/" + runbook, Text: fmt.Sprintf(format, args...),
		})
		if since.IsZero() {
			all[len(all)-1].Since = time.Time{}
		}
	}
	if !o.Ready {
		add(Warning, "not_ready", "", time.Time{}, "SmithproxyExporterRestarting",
			"The exporter is not ready: its state is being loaded, or it is shutting down.")
	}
	if storage := a.System.Storage(); storage.Behind {
		add(Critical, "storage_behind", "", time.Time{}, "SmithproxyExporterStoreFailing",
			"The store does not take writes. Events are acknowledged from memory and are lost if the exporter stops.")
	}
	if q := a.System.Queue(); !q.Oldest.IsZero() && o.At.Sub(q.Oldest) > pendingFor {
		add(Critical, "spans_pending", "", q.Oldest, "SmithproxyExporterSpansPending",
			"%d spans wait for the tracing backend, the oldest for %v.", q.Spans, short(o.At.Sub(q.Oldest)))
	}
	if r := a.System.Reload(); r.Failed {
		add(Warning, "reload_failed", "", r.Last, "SmithproxyExporterReloadFailed",
			"The last reload of the configuration failed, the previous one stays in force: %s", r.Error)
	}
	for _, p := range o.Proxies {
		switch {
		case p.State != ProxySilent:
		case p.LastPing.IsZero():
			add(Warning, "proxy_silent", p.Source, p.LastEvent, "SmithproxyNeverPinged", "Proxy %q sends events, but has never pinged.", p.Source)
		default:
			add(Critical, "proxy_silent", p.Source, p.LastPing, "SmithproxyDown", "Proxy %q has not pinged for %v.", p.Source, short(o.At.Sub(p.LastPing)))
		}
	}
	a.rejected(o.At, add)
	slices.SortStableFunc(all, func(a, b Attention) int { return cmp.Compare(rank(a.Severity), rank(b.Severity)) })
	return all
}

// rejected adds clients that do not get in.
func (a *API) rejected(now time.Time, add func(severity Severity, kind, source string, since time.Time, runbook, format string, args ...any)) {
	for i, h := range a.System.Handshakes() {
		if now.Sub(h.At) > handshakesFor || i == maxHandshakes {
			break
		}
		add(Warning, "handshakes_failing", "", h.At, "SmithproxyTLSHandshakesFailing",
			"TLS handshakes from %s fail (%s, %d so far): %s.", h.Client, h.Reason, h.Failed, h.Hint)
	}
	for i, r := range a.Activity.Refusals() {
		if i == maxRefusals {
			break
		}
		runbook, ok := refusalRunbooks[r.Reason]
		if !ok {
			runbook = "SmithproxyAccessRequestsDefaulted" // it has what to do about requests that cannot be decoded
		}
		add(Warning, "webhooks_rejected", "", r.Last, runbook,
			"%d webhook requests were rejected in the last 15 minutes, reason %s.", r.Count, r.Reason)
	}
}

// refusalRunbooks are the runbooks about webhooks that are rejected for a reason.
var refusalRunbooks = map[string]string{
	"secret": "SmithproxyWebhookSecretWrong", "secret_rate": "SmithproxyWebhookSecretWrong",
	"source": "SmithproxyWebhookSourceRefused", "certificate": "SmithproxyWebhookSourceRefused", "address": "SmithproxyWebhookSourceRefused",
	"rate": "SmithproxyWebhookLimitReached", "memory": "SmithproxyWebhookLimitReached", "connections": "SmithproxyWebhookLimitReached",
	"overload": "SmithproxyWebhookLimitReached",
}

func rank(s Severity) int { return slices.Index([]Severity{Critical, Warning}, s) }

// short shows a duration to people: 45s, 6m, 2h5m.
func short(d time.Duration) string {
	unit := time.Second
	if d > time.Minute {
		unit = time.Minute
	}
	return model.Duration(d.Round(unit)).String()
}

// Top returns a table of the clients, servers, SNIs or applications with the most traffic. Errors are of type *InputError.
func (a *API) Top(_ context.Context, q TopQuery) (Top, error) {
	q.Dimension, q.Window = cmp.Or(q.Dimension, TopDimensions[0]), cmp.Or(q.Window, TopWindows[0])
	q.Order, q.Limit = cmp.Or(q.Order, TopOrders[0]), cmp.Or(q.Limit, defaultTopLimit)
	dimension, window := slices.Index(TopDimensions, q.Dimension), slices.Index(TopWindows, q.Window)
	for _, field := range []struct {
		name  string
		valid bool
		of    []string
	}{
		{"dimension", dimension >= 0, TopDimensions}, {"window", window >= 0, TopWindows},
		{"order", slices.Contains(TopOrders, q.Order), TopOrders},
	} {
		if !field.valid {
			return Top{}, &InputError{field.name, -1, fmt.Errorf("must be one of %v", field.of)}
		}
	}
	if q.Limit < 1 || q.Limit > maxTopLimit {
		return Top{}, &InputError{"limit", -1, fmt.Errorf("must be a number from 1 to %d", maxTopLimit)}
	}
	table := a.Activity.Top(activity.Dimension(dimension), activity.Window(window))
	slices.SortFunc(table.Rows, func(x, y activity.Row) int {
		less := []int{cmp.Compare(y.Bytes(), x.Bytes()), cmp.Compare(y.Connections, x.Connections)}
		if q.Order == TopOrders[1] {
			slices.Reverse(less)
		}
		return cmp.Or(less[0], less[1], cmp.Compare(x.Value, y.Value))
	})
	top := Top{
		Dimension: q.Dimension, Window: q.Window, Order: q.Order, From: table.From.UTC(), Rows: []TopRow{},
		Total: rowOf("", table.Total), Other: rowOf("_other", table.Other),
	}
	for i, r := range table.Rows {
		row := rowOf(r.Value, r.Counts)
		if i < q.Limit {
			top.Rows = append(top.Rows, row)
			continue
		}
		top.Other.Connections += row.Connections
		top.Other.BytesUp += row.BytesUp
		top.Other.BytesDown += row.BytesDown
	}
	return top, nil
}

const defaultTopLimit, maxTopLimit = 20, 1000

func rowOf(value string, c activity.Counts) TopRow {
	return TopRow{Value: value, Connections: c.Connections, BytesUp: c.Up, BytesDown: c.Down}
}

// Status returns the state of the exporter itself.
func (a *API) Status(context.Context) (Status, error) {
	s, v := &a.System, a.System.Version()
	status := Status{
		Version: v.Version, Revision: v.Revision, GoVersion: v.Go, Started: a.started.UTC(), Ready: s.Ready(), Reload: s.Reload(),
		Storage: s.Storage(), History: s.History(), Queue: s.Queue(), Listeners: s.Listeners(), Lists: a.lists(),
	}
	status.Config, status.ConfigFile = s.Config()
	for _, p := range a.Activity.Proxies() {
		status.Proxies++
		status.Connections += p.Status.Open
	}
	return status, nil
}
