package web

import (
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/traceid"
	"smithproxy_exporter/exporter/track"
)

// stateNames are the names of the states in the API.
var stateNames = map[track.State]string{
	track.StateOpen: "open", track.StateClosing: "closing", track.StateClosed: "finished",
}

// stateUnknown is the name of the state of open connections whose proxy is down.
const stateUnknown = "unknown"

func stateName(c *track.Connection) string {
	if c.IsUnknown() {
		return stateUnknown
	}
	return stateNames[c.State]
}

// connection is a connection in the API; docs/api.md has the fields. Unknown values are absent.
type connection struct {
	Source string `json:"source"`
	ID     string `json:"id"`
	// N counts the connections with the same id within a boot; absent for the first.
	N              uint32    `json:"n,omitempty"`
	TraceID        string    `json:"trace_id"`
	SpanID         string    `json:"span_id"`
	State          string    `json:"state"`
	Reason         string    `json:"close_reason,omitempty"`
	Start          time.Time `json:"start"`
	StartEstimated bool      `json:"start_estimated,omitempty"`
	End            time.Time `json:"end,omitzero"`
	EndEstimated   bool      `json:"end_estimated,omitempty"`
	// Seconds is absent while the start or the end is estimated.
	Seconds   *float64 `json:"duration_seconds,omitempty"`
	Session   string   `json:"session,omitempty"`
	Client    string   `json:"client_address,omitempty"`
	Server    string   `json:"server_address,omitempty"`
	Port      uint16   `json:"server_port,omitempty"`
	Transport string   `json:"transport,omitempty"`
	SNI       string   `json:"sni,omitempty"`
	App       string   `json:"app,omitempty"`
	// Policy is a string because it can be "implicit".
	Policy    string   `json:"policy,omitempty"`
	BytesUp   *uint64  `json:"bytes_up,omitempty"`
	BytesDown *uint64  `json:"bytes_down,omitempty"`
	Requests  []string `json:"requests,omitempty"`
	// RequestsDropped is the number of requests that the proxy listed and that are not kept.
	RequestsDropped int         `json:"requests_dropped,omitempty"`
	Signatures      []string    `json:"signatures,omitempty"`
	JA4             string      `json:"ja4,omitempty"`
	JA4S            string      `json:"ja4s,omitempty"`
	JA4H            []string    `json:"ja4h,omitempty"`
	Entropy         *directions `json:"entropy_bits,omitempty"`
	Skew            *float64    `json:"flow_skew,omitempty"`
	Sinkhole        *sinkhole   `json:"sinkhole,omitempty"`
	Access          *access     `json:"access,omitempty"`
}

type directions struct {
	Up   *float64 `json:"up,omitempty"`
	Down *float64 `json:"down,omitempty"`
}

// sinkhole has the sides whose payload was removed (left is the client's), and the numbers of removed and of replacement
// bytes.
type sinkhole struct {
	Left             bool   `json:"left"`
	Right            bool   `json:"right"`
	LeftBytes        uint64 `json:"left_bytes"`
	RightBytes       uint64 `json:"right_bytes"`
	ReplacementBytes uint64 `json:"replacement_bytes"`
}

type access struct {
	Verdict  string `json:"verdict"`
	Rule     string `json:"rule,omitempty"`
	Decision string `json:"decision,omitempty"`
	// DryRunRule is the dry-run rule that would have rejected the connection.
	DryRunRule string `json:"dry_run_rule,omitempty"`
}

// transportOf returns the transport in the start, or else in the session label.
func transportOf(c *track.Connection, s event.Session) event.Transport {
	if c.Transport != "" && c.Transport != event.TransportUnknown {
		return c.Transport
	}
	return s.Transport()
}

func show(c *track.Connection) connection {
	id, session := traceid.Of(c.Source, c.Name()), c.Session()
	v := connection{
		Source: c.Source, ID: c.ID, TraceID: id.TraceString(), SpanID: id.SpanString(),
		State: stateName(c), Reason: string(c.Reason()), Session: c.Label,
		Client: session.Client.Host, Server: session.Server.Host, Port: session.Server.Port,
	}
	if c.N > 1 {
		v.N = c.N
	}
	v.Start, v.StartEstimated = c.Start()
	v.End, v.EndEstimated = c.End()
	if d, known := c.Duration(); known {
		seconds := d.Seconds()
		v.Seconds = &seconds
	}
	if t := transportOf(c, session); t != event.TransportUnknown {
		v.Transport = string(t)
	}
	if p := c.Policy(); p != event.PolicyUnknown {
		v.Policy = event.PolicyText(p)
	}
	if s := c.Stop; s != nil {
		v.SNI, v.App, v.Requests, v.Signatures = s.SNI, s.App, s.Details, s.Signatures
		v.RequestsDropped = max(0, c.DetailsListed-len(s.Details))
		v.JA4, v.JA4S, v.JA4H = s.JA4Client, s.JA4Server, s.JA4HTTP
		v.BytesUp, v.BytesDown = &s.BytesUp, &s.BytesDown
	}
	if st := c.Statistics; st != nil {
		v.Entropy, v.Skew = &directions{bits(st.Up), bits(st.Down)}, st.Skew
	}
	if s := c.Sinkhole; s != nil {
		v.Sinkhole = &sinkhole{s.Left, s.Right, s.SunkenLeft, s.SunkenRight, s.ReplacementSize}
	}
	if verdict, rule, ok := c.Verdict(); ok {
		v.Access = &access{Verdict: string(verdict), Rule: rule}
		if c.Decision != nil {
			v.Access.Decision, v.Access.DryRunRule = c.Decision.ID, c.Decision.DryRunRule
		}
	}
	return v
}

func bits(e *event.Entropy) *float64 {
	if e == nil {
		return nil
	}
	return &e.Bits
}
