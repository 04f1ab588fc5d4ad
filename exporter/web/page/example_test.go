package page_test

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"smithproxy_exporter/exporter/web/api"
)

var now = time.Date(2026, 11, 24, 15, 47, 34, 0, time.UTC)

func before(d time.Duration) time.Time { return now.Add(-d) }

func ptr[T any](v T) *T { return &v }

// data is a fixed state of the exporter.
type data struct {
	overview    api.Overview
	connections api.ConnectionPage
	connection  api.ConnectionDetail
	access      api.Access
	tried       api.TryResult
	top         api.Top
	status      api.Status
	setup       api.Setup
	// secret is what a viewer may see, "" for one who may not.
	secret string
	// err is the answer to all, if set; tryErr is that to Try.
	err, tryErr error
	// pieces are the pages of a search that is answered in several, in place of connections.
	pieces []api.ConnectionPage
}

func (d *data) Overview(context.Context) (api.Overview, error) { return d.overview, d.err }

func (d *data) Connections(context.Context, api.ConnectionQuery) (api.ConnectionPage, error) {
	if len(d.pieces) > 0 {
		piece := d.pieces[0]
		d.pieces = d.pieces[1:]
		return piece, nil
	}
	return d.connections, d.err
}

func (d *data) Connection(_ context.Context, source, name string) (api.ConnectionDetail, error) {
	if d.err == nil && (source != d.connection.Source || name != d.connection.Name) {
		return api.ConnectionDetail{}, api.ErrNotFound
	}
	return d.connection, d.err
}

func (d *data) Access(context.Context) (api.Access, error) { return d.access, d.err }

func (d *data) Try(context.Context, api.TryRequest) (api.TryResult, error) { return d.tried, d.tryErr }

func (d *data) Top(context.Context, api.TopQuery) (api.Top, error) { return d.top, d.err }

func (d *data) Status(context.Context) (api.Status, error) { return d.status, d.err }

func (d *data) Setup(context.Context) (api.Setup, error) { return d.setup, d.err }

func (d *data) Secret(*http.Request) (api.SetupSecret, error) {
	if d.secret == "" {
		return api.SetupSecret{}, api.ErrForbidden
	}
	return api.SetupSecret{Secret: d.secret, URL: d.setup.URL + d.secret}, nil
}

func (d *data) MaySeeSecret(*http.Request) bool { return d.secret != "" }

// empty is the state before the first event.
func empty() *data {
	return &data{
		overview: api.Overview{At: now, Ready: true}, setup: api.Setup{URL: "http://exporter:5000/webhook/"},
		status: api.Status{Version: "1.0.0", Started: before(time.Minute), Ready: true, Config: "{}\n"},
		top:    api.Top{From: before(time.Minute)},
		access: api.Access{Rules: []api.Rule{{Name: "default", Verdict: "accept"}}},
		secret: "s3cret",
	}
}

// busy is the state of an exporter with three proxies and much to show.
func busy() *data {
	d := empty()
	d.setup.Proxies, d.setup.Pinged = 3, true
	activity := func(n float64) api.Activity {
		a := api.Activity{Connections: n, Bytes: n * 51234, Rejects: n / 40, Open: int(n * 13)}
		a.Series.End, a.Series.Step = now, 10
		for i := range 90 {
			wave := 1 + math.Sin(float64(i)/9)/3 + float64(i%7)/20
			a.Series.Connections = append(a.Series.Connections, n*wave)
			a.Series.Bytes = append(a.Series.Bytes, n*wave*51234)
			a.Series.Rejects = append(a.Series.Rejects, math.Floor(n*wave/40))
			a.Series.Open = append(a.Series.Open, math.Floor(n*13*wave))
		}
		return a
	}
	d.overview.Total = activity(121.7)
	d.overview.Attention = []api.Attention{
		{Severity: api.Critical, Kind: "proxy_silent", Source: "lab", Text: "Proxy lab has not pinged for 12 minutes. Its last event arrived 11 minutes ago.",
			Since: before(12 * time.Minute), Runbook: "SmithproxyDown", RunbookURL: "/api/v1/runbooks/SmithproxyDown"},
		{Severity: api.Warning, Kind: "handshakes_failing", Text: "12 TLS handshakes from 192.0.2.77 failed: the proxy does not trust the certificate.",
			Runbook: "SmithproxyTLSHandshakesFailing", RunbookURL: "/api/v1/runbooks/SmithproxyTLSHandshakesFailing"},
	}
	d.overview.Proxies = []api.Proxy{
		{Source: "edge-1", State: api.ProxyUp, Generation: "2026", Instance: "Proxy-1234ABCD", LastEvent: before(300 * time.Millisecond), LastPing: before(47 * time.Second), Open: 1180, Neighbors: 212, Activity: activity(90.2)},
		{Source: "edge-2", State: api.ProxyUp, Generation: "2025", Instance: "Proxy-99AA00BB", LastEvent: before(2 * time.Second), LastPing: before(101 * time.Second), Open: 402, Neighbors: 80, Activity: activity(31.1)},
		{Source: "lab", State: api.ProxySilent, LastEvent: before(11 * time.Minute), LastPing: before(12 * time.Minute), Activity: api.Activity{}},
	}
	apps := []string{"http2", "http1", "dns", "tls", "ssh"}
	for i := range 100 {
		d.connections.Connections = append(d.connections.Connections, numbered(i, apps[i%len(apps)]))
	}
	d.connections.Cursor = "ZgU"
	d.connection = detail()
	d.access = api.Access{
		Rules: []api.Rule{
			{Name: "lab-may-do-anything", Verdict: "accept", Conditions: []string{"source: lab-*"}, Hits: 1211, LastHit: before(time.Minute)},
			{Name: "no-mail-from-guests", Verdict: "reject", Conditions: []string{"client: 10.20.0.0/16, fd00:20::/32", "port: 25, 465, 587", "transport: tcp, tls"}, Hits: 12345, LastHit: before(3 * time.Second)},
			{Name: "threat-feed", Verdict: "reject", DryRun: true, Conditions: []string{"server_file: feeds/botnet.netset"}, DryRunHits: 17, LastHit: before(2 * time.Hour)},
			{Name: "default", Verdict: "accept", Hits: 1234567, LastHit: before(time.Second)},
		},
		Lists: []api.AccessList{{Path: "feeds/botnet.netset", Entries: 1034221, Modified: before(26 * time.Hour)}},
		Recent: []api.Decision{
			{At: before(3 * time.Second), Source: "edge-1", ID: "7ad1", Client: "10.20.0.7", Server: "203.0.113.9", Port: 25, Session: "tcp_10.20.0.7:40000+tcp_203.0.113.9:25", Policy: "-1", Verdict: "reject", Rule: "no-mail-from-guests"},
			{At: before(5 * time.Second), Source: "edge-2", ID: "7ad0", Client: "10.1.0.7", Server: "203.0.113.10", Port: 443, Session: "tcp_10.1.0.7:40001+ssli_203.0.113.10:443", Verdict: "accept", Rule: "default", DryRunRule: "threat-feed"},
		},
	}
	d.tried = api.TryResult{At: now, Client: "10.21.1.1", ClientPort: 40000, Server: "203.0.113.7", Port: 443, Transport: "tls", Policy: "3", Verdict: "reject", Rule: "night", DryRunRule: "threat-feed",
		Passed: []api.PassedRule{
			{Rule: "lab-may-do-anything", Verdict: "accept", Mismatches: []api.Mismatch{{Field: "source", Why: `"edge-1" is not lab-*`}}},
			{Rule: "threat-feed", Verdict: "reject"},
		}}
	d.top = api.Top{Dimension: "client", Window: "5m", Order: "bytes", From: before(5 * time.Minute), Total: api.TopRow{Connections: 5000, BytesUp: 40 << 20, BytesDown: 900 << 20}}
	for i := range 20 {
		d.top.Rows = append(d.top.Rows, api.TopRow{Value: fmt.Sprintf("10.77.1.%d", i+1), Connections: uint64(900 / (i + 1)), BytesUp: uint64(9<<20) / uint64(i+1), BytesDown: uint64(200<<20) / uint64(i+1)})
	}
	d.top.Other = api.TopRow{Value: "_other", Connections: 1742, BytesUp: 7 << 20, BytesDown: 131 << 20}
	d.status = api.Status{
		Version: "1.0.0", Revision: "ee66770", GoVersion: "go1.26", Started: before(50 * time.Hour), Ready: true, ConfigFile: "/etc/smithproxy_exporter.yml",
		Config: "webhook:\n  secrets:\n    - secret: <secret>\naccess:\n  default: accept\n",
		Reload: api.Reload{Enabled: true, Last: before(3 * time.Hour)}, Storage: api.Storage{Path: "/var/lib/smithproxy_exporter", Bytes: 212 << 20, MaxBytes: 1 << 30},
		History: api.HistoryStatus{Enabled: true, Connections: 512345, Bytes: 143 << 20, MaxBytes: 256 << 20, MaxAge: 604800, Oldest: before(70 * time.Hour)},
		Queue:   api.Queue{Enabled: true, Spans: 12, Bytes: 4321, Oldest: before(2 * time.Second)},
		Listeners: []api.Listener{
			{Name: "webhook", Address: "[::]:5000", Connections: ptr(14)}, {Name: "web", Address: "[::]:10932", TLS: true},
		},
		Lists: d.access.Lists, Proxies: 3, Connections: 1582,
	}
	return d
}

// numbered is one of many connections.
func numbered(i int, app string) api.Connection {
	c := api.Connection{
		Source: fmt.Sprintf("edge-%d", i%2+1), ID: fmt.Sprintf("Proxy-1234ABCD-SID-%X", 4000-i), State: "open",
		Start: before(time.Duration(i) * 3100 * time.Millisecond), Client: fmt.Sprintf("10.77.%d.%d", i%3, i*7%250+1), ClientPort: uint16(40000 + i),
		Server: fmt.Sprintf("192.0.2.%d", i%200+1), Port: 443, Transport: "tls", Policy: "3",
		Session: fmt.Sprintf("tcp_10.77.0.1:%d+ssli_192.0.2.1:443", 40000+i),
	}
	c.Name = c.ID
	if i < 12 {
		return c
	}
	c.State, c.Reason = "finished", []string{"stop", "stop", "stop", "stop", "rejected", "stop", "lost"}[i%7]
	c.SNI, c.App = fmt.Sprintf("www-%d.example.com", i%9), app
	c.End = c.Start.Add(time.Duration(i*i*13) * time.Millisecond)
	c.BytesUp, c.BytesDown = ptr(uint64(i*i*91)), ptr(uint64(i*i*i*1223))
	if c.Reason == "lost" {
		c.EndEstimated = true
	} else {
		c.Seconds = ptr(c.End.Sub(c.Start).Seconds())
	}
	if i%3 == 0 || c.Reason == "rejected" {
		c.Verdict = &api.Verdict{Verdict: "accept", Rule: "default"}
		if c.Reason == "rejected" {
			c.Verdict = &api.Verdict{Verdict: "reject", Rule: "no-mail-from-guests"}
		}
	}
	return c
}

// detail is a connection about which everything is known.
func detail() api.ConnectionDetail {
	c := numbered(30, "http1")
	c.Reason, c.TraceID, c.SpanID, c.TraceURL = "stop", strings.Repeat("4bf92f35", 4), "00f067aa0ba902b7", "https://tempo.example.com/trace/"+strings.Repeat("4bf92f35", 4)
	c.Seconds = ptr(11.7)
	c.Requests, c.RequestsDropped = []string{"https://www.example.com/", "https://www.example.com/a?b=c"}, 3
	c.Signatures = []string{"www/http/request"}
	c.JA4, c.JA4S, c.JA4H = "t13d1516h2_8daaf6152771_e5627efa2ab1", "t130200_1301_a56c5b993250", []string{"ge11nn05enus_9ed1ff1f7b03_cd8dafe26982"}
	c.Entropy, c.Skew = &api.Directions{Up: ptr(4.87), Down: ptr(7.96)}, ptr(0.93)
	c.BytesUp, c.BytesDown = ptr(uint64(1831)), ptr(uint64(48221712))
	c.Sinkhole = &api.Sinkhole{Left: true, LeftBytes: 4096, ReplacementBytes: 12}
	c.Verdict = &api.Verdict{Verdict: "accept", Rule: "default", Decision: "7ad1", DryRunRule: "threat-feed"}
	return api.ConnectionDetail{Connection: c, Timeline: []api.TimelineEvent{
		{At: c.Start.Add(-4 * time.Millisecond), Offset: -0.004, Kind: "request", Text: "The proxy asked whether the connection may exchange data."},
		{At: c.Start.Add(-4 * time.Millisecond), Offset: -0.004, Kind: "decision", Text: "Rule default accepted it."},
		{At: c.Start, Kind: "start", Text: "The connection started."},
		{At: c.Start.Add(2 * time.Second), Offset: 2, Kind: "listed", Text: "The proxy listed it as open."},
		{At: c.End, Offset: 11.7, Kind: "stop", Text: "The connection stopped."},
		{At: c.End.Add(time.Second), Offset: 12.7, Kind: "repeats", Text: "Events that were known already.", Count: 3},
		{At: c.End.Add(4 * time.Second), Offset: 15.7, Kind: "info", Text: "Statistics arrived."},
	}}
}

// nasty are texts that a peer of a proxy may choose.
var nasty = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `javascript:alert(1)`, "a\u202eb\u2066c\u200f", "a\x00b\x1b[31m\x7f", "\xff\xfe",
	`{{.}}`, `' onmouseover='alert(1)`, strings.Repeat("x", 4096), strings.Repeat("\u202e", 300), "e" + strings.Repeat("\u0301", 500), "</title><script>", "<!--", "]]>",
}

// hostile is the state of an exporter whose every text is nasty.
func hostile() *data {
	d := busy()
	for i, text := range nasty {
		c := detail().Connection
		c.Source, c.Name, c.ID, c.SNI, c.App, c.Client, c.Server, c.Session = text, text, text, text, text, text, text, text
		c.State, c.Reason, c.JA4, c.Policy, c.Transport = text, text, text, text, text
		c.Requests, c.Signatures, c.JA4H, c.TraceURL = nasty, nasty, nasty, text
		c.Verdict = &api.Verdict{Verdict: text, Rule: text, Decision: text, DryRunRule: text}
		d.connections.Connections[i] = c
		if i == 0 {
			d.connection = api.ConnectionDetail{Connection: c}
		}
		d.connection.Timeline = append(d.connection.Timeline, api.TimelineEvent{At: now, Kind: text, Text: text})
		p := busy().overview.Proxies[0]
		p.Source, p.Generation = text, text
		d.overview.Proxies = append(d.overview.Proxies, p)
		d.overview.Attention = append(d.overview.Attention, api.Attention{Severity: api.Warning, Text: text, Runbook: text, RunbookURL: text})
		d.top.Rows[i].Value = text
		d.access.Rules = append(d.access.Rules, api.Rule{Name: text, Verdict: text, Conditions: []string{text}})
		d.access.Recent = append(d.access.Recent, api.Decision{At: now, Source: text, Client: text, Server: text, Session: text, Verdict: text, Rule: text, DryRunRule: text})
		d.access.Lists = append(d.access.Lists, api.AccessList{Path: text})
		d.tried.Passed = append(d.tried.Passed, api.PassedRule{Rule: text, Verdict: text, Mismatches: []api.Mismatch{{Field: text, Why: text}}})
	}
	d.status.Config, d.status.Reload.Error, d.status.Reload.Failed = strings.Join(nasty, "\n"), strings.Join(nasty, " "), true
	d.setup.URL = nasty[0]
	return d
}
