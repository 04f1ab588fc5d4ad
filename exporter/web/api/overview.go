package api

import "time"

// Overview is the state of all proxies.
type Overview struct {
	// At is when it was read.
	At time.Time `json:"at"`
	// Ready reports whether events are being received.
	Ready bool `json:"ready"`
	// Attention is what needs attention, the most severe first.
	Attention []Attention `json:"attention"`
	// Proxies are ordered by name; empty until the first event of a proxy.
	Proxies []Proxy `json:"proxies"`
	// Total is the activity of all proxies together.
	Total Activity `json:"total"`
}

// Severity is how urgent an Attention is, in the words of docs/alerts.md.
type Severity string

// The severities, the most urgent first.
const (
	Critical Severity = "critical"
	Warning  Severity = "warning"
)

// Attention is something that somebody should look at.
type Attention struct {
	Severity Severity `json:"severity"`
	// Kind is what it is about: proxy_silent, handshakes_failing, webhooks_rejected, spans_pending, storage_behind,
	// reload_failed, not_ready.
	Kind string `json:"kind"`
	// Text says in one or two sentences what is wrong, with numbers.
	Text string `json:"text"`
	// Source is the proxy, "" if it is not about one.
	Source string `json:"source,omitempty"`
	// Since is when it began, or was noticed last; absent if that is not known.
	Since time.Time `json:"since,omitzero"`
	// Runbook is the name of the section in docs/alerts.md, RunbookURL its address.
	Runbook    string `json:"runbook"`
	RunbookURL string `json:"runbook_url"`
}

// ProxyState is whether a proxy is heard of.
type ProxyState string

// The states of a proxy.
const (
	ProxyUp      ProxyState = "up"      // it pings
	ProxySilent  ProxyState = "silent"  // its last ping is older than proxies.ping_timeout
	ProxyUnknown ProxyState = "unknown" // it has not pinged yet, and the timeout is not over
)

// Proxy is the state of one proxy.
type Proxy struct {
	Source string     `json:"source"`
	State  ProxyState `json:"state"`
	// Instance is the boot id, "" while it is unknown.
	Instance string `json:"instance,omitempty"`
	// Generation is what the ids of its connections tell about its version: 2025, ptr or 2026; "" while there is none.
	Generation string `json:"generation,omitempty"`
	// LastEvent and LastPing are absent if there was none yet.
	LastEvent time.Time `json:"last_event,omitzero"`
	LastPing  time.Time `json:"last_ping,omitzero"`
	// Open is the number of open connections, Neighbors the number of client addresses seen lately.
	Open      int      `json:"open"`
	Neighbors int      `json:"neighbors"`
	Activity  Activity `json:"activity"`
}

// Activity is how much happens now, and during the last 15 minutes.
type Activity struct {
	// The rates are averages over the last minute, in 1/s and B/s. Bytes are counted when a connection stops.
	Connections float64 `json:"connections_per_second"`
	Bytes       float64 `json:"bytes_per_second"`
	Rejects     float64 `json:"rejects_per_second"`
	Open        int     `json:"open"`
	Series      Series  `json:"series"`
}

// Series are the values of the last 15 minutes, oldest first; all slices have the same length.
type Series struct {
	// End is the end of the last step, Step the length of each in seconds.
	End  time.Time `json:"end"`
	Step float64   `json:"step_seconds"`
	// Rates per second during each step.
	Connections []float64 `json:"connections_per_second"`
	Bytes       []float64 `json:"bytes_per_second"`
	Rejects     []float64 `json:"rejects_per_second"`
	// Open is the number of open connections at the end of each step.
	Open []float64 `json:"open"`
}
