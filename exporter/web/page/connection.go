package page

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"smithproxy_exporter/exporter/web/api"
)

// connectionView is everything about one connection.
type connectionView struct {
	api.ConnectionDetail
	// Client and Server name the peers in the heading.
	Client, Server string
	State          string
	Why            string
	Facts          []fact
	TLS            []fact
	Access         []fact
	Content        []direction
	Skew           string
	Sinkhole       []fact
	Requests       []long
	Events         []timelineRow
	Related        []link
	JSON           string
}

// fact is a name and its value.
type fact struct {
	Name  string
	Value long
	// When takes the place of Value.
	When *when
	// Note is what the value means.
	Note string
	// Code tells that the value is for machines.
	Code bool
}

type link struct{ Text, Path string }

// direction is the content of one direction.
type direction struct {
	Name, Bytes, Bits, Reading string
	// Width is the length of the bar, of 100.
	Width int
}

type timelineRow struct {
	When   when
	Offset string
	Kind   string
	Text   long
	Count  int
}

// reasons explain why a connection ended.
var reasons = map[string]string{
	"stop":     "The proxy reported its end.",
	"rejected": "An access-request was rejected.",
	"lost":     "The proxy does not have it any more, but no stop arrived.",
	"restart":  "The proxy restarted or was shut down.",
	"evicted":  "There were more connections than connections.max_open allows.",
}

// connection serves /connections/{source}/{name}.
func (p *Pages) connection(w http.ResponseWriter, r *http.Request) {
	c, err := p.Data.Connection(r.Context(), r.PathValue("source"), r.PathValue("name"))
	if err != nil {
		p.fail(w, "connections", err)
		return
	}
	now := p.Now()
	v := connectionView{
		ConnectionDetail: c, Client: peer(c.Client, c.ClientPort), Server: peer(firstOf(c.SNI, c.Server), c.Port),
		State: stateOf(&c.Connection), Why: reasons[c.Reason], Facts: facts(now, &c.Connection), TLS: tlsFacts(&c.Connection),
		Access: accessFacts(&c.Connection), Content: directions(&c.Connection), Sinkhole: sinkholeFacts(c.Sinkhole),
		Related: related(&c.Connection), JSON: "/api/v1" + connectionPath(c.Source, c.Name),
	}
	if c.Skew != nil {
		v.Skew = strconv.FormatFloat(*c.Skew, 'f', 2, 64) + ": " + skewReading(*c.Skew)
	}
	for _, request := range c.Requests {
		v.Requests = append(v.Requests, newLong(request))
	}
	for _, e := range c.Timeline {
		v.Events = append(v.Events, timelineRow{When: clock(now, e.At), Offset: offset(e.Offset), Kind: e.Kind, Text: newLong(e.Text), Count: e.Count})
	}
	refresh := 0
	if c.State != "finished" {
		refresh = 5
	}
	title := short(firstOf(c.SNI, c.Server, c.Name))
	p.render(w, http.StatusOK, "connection", view{Title: title, Nav: "connections", Now: now, Refresh: refresh, Page: v})
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}

func peer(host string, port uint16) string {
	switch {
	case host == "":
		return "unknown"
	case port == 0:
		return short(host)
	case strings.Contains(host, ":"):
		return "[" + short(host) + "]:" + strconv.Itoa(int(port))
	default:
		return short(host) + ":" + strconv.Itoa(int(port))
	}
}

func offset(seconds float64) string {
	switch {
	case math.Abs(seconds) < 0.0005:
		return "0s"
	case seconds < 0:
		return "−" + lasting(-seconds)
	}
	return "+" + lasting(seconds)
}

// list collects facts and leaves out those that are not known.
type list []fact

func (l *list) add(name, value, note string) {
	if value != "" {
		*l = append(*l, fact{Name: name, Value: newLong(value), Note: note})
	}
}

func (l *list) code(name, value, note string) {
	if value != "" {
		*l = append(*l, fact{Name: name, Value: newLong(value), Note: note, Code: true})
	}
}

func (l *list) bytes(name string, n *uint64) {
	if n == nil {
		return
	}
	exact := ""
	if *n >= 1024 {
		exact = count(int64(*n)) + " bytes"
	}
	l.add(name, iec(float64(*n)), exact)
}

func (l *list) at(name string, t time.Time, estimated bool) {
	if t.IsZero() {
		return
	}
	w := full(t)
	f := fact{Name: name, When: &w}
	if estimated {
		f.Note = "estimated, no event told it"
	}
	*l = append(*l, f)
}

func facts(now time.Time, c *api.Connection) []fact {
	var l list
	l.add("Proxy", c.Source, "")
	l.add("Client", joinPort(c.Client, c.ClientPort), "")
	l.add("Server", joinPort(c.Server, c.Port), "")
	l.add("Transport", c.Transport, "")
	l.add("SNI", c.SNI, "")
	l.add("Application", c.App, "")
	l.add("Policy", c.Policy, "")
	l.at("Start", c.Start, c.StartEstimated)
	l.at("End", c.End, c.EndEstimated)
	if d := durationCell(now, c); d.Text != unknown {
		l.add("Duration", d.Text, d.Title)
	}
	l.bytes("From the client", c.BytesUp)
	l.bytes("To the client", c.BytesDown)
	l.code("Id", c.Name, "")
	l.code("Session label", c.Session, "")
	l.code("Trace id", c.TraceID, "")
	return l
}

func joinPort(host string, port uint16) string {
	if host == "" || port == 0 {
		return host
	}
	return host + " port " + strconv.Itoa(int(port))
}

func tlsFacts(c *api.Connection) []fact {
	var l list
	l.code("JA4", c.JA4, "TLS hello of the client")
	l.code("JA4S", c.JA4S, "TLS hello of the server")
	for _, h := range c.JA4H {
		l.code("JA4H", h, "HTTP request")
	}
	for _, s := range c.Signatures {
		l.add("Signature", s, "")
	}
	return l
}

func accessFacts(c *api.Connection) []fact {
	if c.Verdict == nil {
		return nil
	}
	var l list
	l.add("Verdict", c.Verdict.Verdict, "")
	l.add("Rule", c.Verdict.Rule, "")
	l.add("Dry-run rule", c.Verdict.DryRunRule, "would have rejected it")
	l.code("Decision", c.Verdict.Decision, "")
	return l
}

func sinkholeFacts(s *api.Sinkhole) []fact {
	if s == nil {
		return nil
	}
	var l list
	if s.Left {
		l.add("From the client", iec(float64(s.LeftBytes))+" removed", "")
	}
	if s.Right {
		l.add("To the client", iec(float64(s.RightBytes))+" removed", "")
	}
	l.add("Replacement", iec(float64(s.ReplacementBytes)), "sent instead")
	return l
}

// related are searches for what has something in common with a connection.
func related(c *api.Connection) []link {
	var l []link
	if c.TraceURL != "" {
		l = append(l, link{"Trace", c.TraceURL})
	}
	if c.Client != "" {
		l = append(l, link{"All connections of this client", searchPath("client", c.Client)})
	}
	if c.Server != "" {
		l = append(l, link{"All connections to this address", searchPath("server", c.Server)})
	}
	if c.SNI != "" {
		l = append(l, link{"All connections to this SNI", searchPath("sni", c.SNI)})
	}
	if c.Verdict != nil && c.Verdict.Rule != "" {
		l = append(l, link{"All connections that this rule decided", searchPath("rule", c.Verdict.Rule)})
	}
	if c.Session != "" {
		l = append(l, link{"Try its access-request", tryPath(c.Source, c.Session, c.Policy)})
	}
	return l
}
