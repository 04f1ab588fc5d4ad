package web

import (
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/traceid"
	"smithproxy_exporter/exporter/track"
)

// The states of a connection in the API.
const (
	stateOpen     = "open"     // its end is not known
	stateClosing  = "closing"  // it is over; more about it can still come, and its trace waits for that
	stateFinished = "finished" // its trace has been made
)

// connection is a connection as the API shows it. What is not known is absent.
type connection struct {
	Source    string    `json:"source"`
	ID        string    `json:"id"`
	TraceID   string    `json:"trace_id"`
	SpanID    string    `json:"span_id"`
	State     string    `json:"state"`
	Reason    string    `json:"close_reason,omitempty"`
	Start     time.Time `json:"start"`
	Estimated bool      `json:"start_estimated,omitempty"`
	End       time.Time `json:"end,omitzero"`
	// Seconds is how long it lasted, once both ends are known.
	Seconds *float64 `json:"duration_seconds,omitempty"`
	Session string   `json:"session,omitempty"`
	Client  string   `json:"client_address,omitempty"`
	Server  string   `json:"server_address,omitempty"`
	Port    uint16   `json:"server_port,omitempty"`
	// Transport is tcp, tls, udp or unix.
	Transport  string      `json:"transport,omitempty"`
	SNI        string      `json:"sni,omitempty"`
	App        string      `json:"app,omitempty"`
	Policy     *int        `json:"policy,omitempty"`
	BytesUp    *uint64     `json:"bytes_up,omitempty"`
	BytesDown  *uint64     `json:"bytes_down,omitempty"`
	Requests   []string    `json:"requests,omitempty"`
	Signatures []string    `json:"signatures,omitempty"`
	Entropy    *directions `json:"entropy_bits,omitempty"`
	Skew       *float64    `json:"flow_skew,omitempty"`
	Access     *access     `json:"access,omitempty"`
}

type directions struct {
	Up   *float64 `json:"up,omitempty"`
	Down *float64 `json:"down,omitempty"`
}

type access struct {
	Verdict  string `json:"verdict"`
	Rule     string `json:"rule,omitempty"`
	Decision string `json:"decision,omitempty"`
	// DryRunRule is the rule on trial that would have rejected.
	DryRunRule string `json:"dry_run_rule,omitempty"`
}

func stateOf(c *track.Connection, finished bool) string {
	switch {
	case finished:
		return stateFinished
	case c.Reason != "":
		return stateClosing
	default:
		return stateOpen
	}
}

func show(c *track.Connection, finished bool) connection {
	id := traceid.Of(c.Source, c.ID)
	v := connection{
		Source: c.Source, ID: c.ID, TraceID: id.TraceString(), SpanID: id.SpanString(),
		State: stateOf(c, finished), Reason: string(c.Reason), End: c.End(), Session: c.Label,
		Client: c.Session.Client.Host, Server: c.Session.Server.Host, Port: c.Session.Server.Port,
	}
	v.Start, v.Estimated = c.Start()
	if d, known := c.Duration(); known {
		seconds := d.Seconds()
		v.Seconds = &seconds
	}
	if t := c.Session.Transport(); t != event.TransportUnknown {
		v.Transport = string(t)
	}
	if p := c.Policy(); p != event.PolicyUnknown {
		v.Policy = &p
	}
	if s := c.Stop; s != nil {
		v.SNI, v.App, v.Requests, v.Signatures = s.SNI, s.App, s.Details, s.Signatures
		v.BytesUp, v.BytesDown = &s.BytesUp, &s.BytesDown
	}
	if st := c.Statistics; st != nil {
		v.Entropy, v.Skew = &directions{bits(st.Up), bits(st.Down)}, st.Skew
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
