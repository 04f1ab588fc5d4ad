package api

import "time"

// Connection is a connection; docs/api.md has the fields. Unknown values are absent.
type Connection struct {
	Source string `json:"source"`
	ID     string `json:"id"`
	// N counts the connections with the same id within a boot; absent for the first.
	N uint32 `json:"n,omitempty"`
	// Name is unique within a proxy: the id, or <id>#<n>. Together with Source it is the address of the connection.
	Name    string `json:"name"`
	TraceID string `json:"trace_id"`
	SpanID  string `json:"span_id"`
	// TraceURL shows the trace, see page.trace_url.
	TraceURL string `json:"trace_url,omitempty"`
	// State is open, unknown (open at a proxy that is down), closing or finished.
	State string `json:"state"`
	// Reason is stop, rejected, lost, restart or evicted; absent while open.
	Reason         string    `json:"close_reason,omitempty"`
	Start          time.Time `json:"start"`
	StartEstimated bool      `json:"start_estimated,omitempty"`
	End            time.Time `json:"end,omitzero"`
	EndEstimated   bool      `json:"end_estimated,omitempty"`
	// Seconds is absent while the start or the end is estimated.
	Seconds *float64 `json:"duration_seconds,omitempty"`
	// Session is the session label as the proxy sent it.
	Session    string `json:"session,omitempty"`
	Client     string `json:"client_address,omitempty"`
	ClientPort uint16 `json:"client_port,omitempty"`
	Server     string `json:"server_address,omitempty"`
	Port       uint16 `json:"server_port,omitempty"`
	Transport  string `json:"transport,omitempty"`
	SNI        string `json:"sni,omitempty"`
	App        string `json:"app,omitempty"`
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
	Entropy         *Directions `json:"entropy_bits,omitempty"`
	Skew            *float64    `json:"flow_skew,omitempty"`
	Sinkhole        *Sinkhole   `json:"sinkhole,omitempty"`
	Verdict         *Verdict    `json:"access,omitempty"`
}

// Directions has a value for each direction: up is what the client sent.
type Directions struct {
	Up   *float64 `json:"up,omitempty"`
	Down *float64 `json:"down,omitempty"`
}

// Sinkhole has the sides whose payload was removed (left is the client's), and the numbers of removed and of replacement
// bytes.
type Sinkhole struct {
	Left             bool   `json:"left"`
	Right            bool   `json:"right"`
	LeftBytes        uint64 `json:"left_bytes"`
	RightBytes       uint64 `json:"right_bytes"`
	ReplacementBytes uint64 `json:"replacement_bytes"`
}

// Verdict is how the access-request of a connection was answered.
type Verdict struct {
	Verdict  string `json:"verdict"`
	Rule     string `json:"rule,omitempty"`
	Decision string `json:"decision,omitempty"`
	// DryRunRule is the dry-run rule that would have rejected the connection.
	DryRunRule string `json:"dry_run_rule,omitempty"`
}

// ConnectionPage is a page of connections: open and closing ones first, then finished ones, each the latest first.
type ConnectionPage struct {
	Connections []Connection `json:"connections"`
	// Cursor continues after the page; the last page has none. A page can be short, and even empty, and have one.
	Cursor string `json:"next_cursor,omitempty"`
	// SearchedTo is how far a search has come that has more to look at: finished connections that ended before it are not
	// searched yet. Absent while open ones are searched.
	SearchedTo time.Time `json:"searched_to,omitzero"`
	// Incomplete says why finished connections are missing; absent if they are not.
	Incomplete string `json:"incomplete,omitempty"`
}

// ConnectionDetail is everything that is known about one connection.
type ConnectionDetail struct {
	Connection
	// Timeline are its events in the order of time.
	Timeline []TimelineEvent `json:"timeline"`
}

// TimelineEvent is an event in the life of a connection.
type TimelineEvent struct {
	// At is when the event was received, Offset the same in seconds after Connection.Start; it can be negative.
	At     time.Time `json:"at"`
	Offset float64   `json:"offset_seconds"`
	// Kind is request, decision, start, listed, alive, stop, info, repeats, late or end.
	Kind string `json:"kind"`
	// Text is one sentence about it.
	Text string `json:"text"`
	// Count is how many there were, for kinds that are counted; absent for one.
	Count int `json:"count,omitempty"`
}
