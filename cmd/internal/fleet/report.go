package fleet

import (
	"encoding/json"
	"time"
)

// Report is everything that the fleet did, as far as it knows. All times are of this machine's wall clock.
type Report struct {
	Seed    uint64    `json:"seed"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended"`
	// Total is the sum over Sources.
	Total Totals `json:"total"`
	// Sources holds each proxy under its source name.
	Sources map[string]*SourceReport `json:"sources"`
	// Garbage has the invalid requests by kind: not-json, wrong-secret, wrong-method, too-large, unknown-action,
	// unknown-type. No other number includes them.
	Garbage map[string]*Garbage `json:"garbage,omitempty"`
	// Connections is absent if Config.ReportConnections is off.
	Connections []*Connection `json:"connections,omitempty"`
}

// SourceReport is one proxy.
type SourceReport struct {
	Generation Generation `json:"generation"`
	Form       Form       `json:"form"`
	// Instances are the boot ids, Proxy-<hex>, in the order in which they ran.
	Instances []string `json:"instances"`
	// Neighbors are the client addresses that were announced as new, in that order.
	Neighbors []string `json:"neighbors"`
	Totals
}

// Totals are the numbers of one proxy, or of all.
type Totals struct {
	Actions map[Action]*ActionTotals `json:"actions"`
	// Restarts counts the changes of boot id, SIGTERM and SIGKILL.
	Restarts int `json:"restarts"`
	// PlannedStops counts the restarts by SIGTERM.
	PlannedStops int `json:"planned_stops"`
	// Dropped counts the events that the limit of the queue dropped, Discarded
	// those that still waited when the proxy was stopped. They were never sent;
	// Actions has them by action.
	Dropped   int `json:"dropped"`
	Discarded int `json:"discarded"`
	// Connections counts those a client opened, the rejected and the ones left
	// open included.
	Connections int `json:"connections"`
	// Neighbors counts the addresses announced as new, and those of them
	// whose announcement was acknowledged.
	NeighborsNew          int `json:"neighbors_new"`
	NeighborsAcknowledged int `json:"neighbors_acknowledged"`
	// Verdicts counts access-requests by outcome: accept, reject, or failed if there was no valid answer, after which the
	// connection passed or was blocked. A SOCKS connection of generation 2025 sends two.
	Verdicts map[string]int `json:"verdicts"`
	// Blocked counts the connections that were blocked because their
	// access-request failed.
	Blocked int `json:"blocked"`
	// ReusedIDs counts the connections whose Connection.Ordinal is greater than 1 and of which the receiver acknowledged
	// something.
	ReusedIDs int `json:"reused_ids"`
	// Sinkholed counts the acknowledged infos with a sinkhole.
	Sinkholed int `json:"sinkholed"`
	// Transports counts the acknowledged starts by Connection.Transport, Policies
	// the acknowledged stops by policy.
	Transports map[string]int `json:"transports"`
	Policies   map[int]int    `json:"policies"`
	// Expected counts the connections by Connection.Expected.
	Expected map[string]int `json:"expected"`
	// BytesUp and BytesDown sum over the connections whose stop was acknowledged.
	BytesUp   uint64 `json:"bytes_up"`
	BytesDown uint64 `json:"bytes_down"`
}

// ActionTotals are numbers of messages with one action.
type ActionTotals struct {
	// Events counts each message once, however often it was sent.
	Events int `json:"events"`
	// Deliveries counts the requests that were sent whole and answered.
	Deliveries int `json:"deliveries"`
	// AcknowledgedEvents counts the events with at least one 2xx,
	// AcknowledgedDeliveries all answers that are 2xx.
	AcknowledgedEvents     int `json:"acknowledged_events"`
	AcknowledgedDeliveries int `json:"acknowledged_deliveries"`
	// FailedEvents counts the events that were never acknowledged: given up, rejected with another status, dropped, or
	// not delivered on purpose.
	FailedEvents int `json:"failed_events"`
	// Dropped and Discarded count the failed events that were never sent, as in
	// Totals.
	Dropped   int `json:"dropped"`
	Discarded int `json:"discarded"`
	// Retries counts the tries after the first, Aborted the tries that were aborted on purpose in the middle of the body,
	// Failures the tries that failed otherwise. It is unknown whether the receiver got the latter.
	Retries  int `json:"retries"`
	Aborted  int `json:"aborted"`
	Failures int `json:"failures"`
	// Status counts the answers by status code.
	Status map[int]int `json:"status"`
}

// Garbage has the numbers of one kind of invalid request. Each request is tried once.
type Garbage struct {
	Sent   int         `json:"sent"`
	Failed int         `json:"failed"` // no answer
	Status map[int]int `json:"status"`
}

// Connection is one connection as the proxy knows it. It has the planned content even if the stop or info was not sent: a
// rejected connection has transferred no bytes.
type Connection struct {
	Source string `json:"source"`
	ID     string `json:"id"`
	// Ordinal numbers the connections of a boot with the same id, from 1. Connections of which the receiver acknowledged
	// nothing do not count.
	Ordinal  int    `json:"n"`
	Instance string `json:"instance"`
	Mode     Mode   `json:"mode"`
	// StartLabel and StopLabel are the session labels; over SOCKS and HTTP CONNECT
	// they differ.
	StartLabel string `json:"start_label"`
	StopLabel  string `json:"stop_label"`
	// Transport is tcp, tls, udp, ssh or quic, as the start says it.
	Transport string `json:"transport"`
	// Client and Server are host:port, an IPv6 host in brackets.
	Client string `json:"client"`
	Server string `json:"server"`
	TLS    bool   `json:"tls"`
	SNI    string `json:"sni"`    // "" without TLS or without a name
	App    string `json:"app"`    // http1, http2, dns or ""
	Policy int    `json:"policy"` // 65500: passed without a rule
	// JA4CH, JA4SH, JA4H and JA4CHIgnoreSNI are the fingerprints of the stop.
	JA4CH          string   `json:"ja4_ch"`
	JA4SH          string   `json:"ja4_sh"`
	JA4H           []string `json:"ja4h"`
	JA4CHIgnoreSNI bool     `json:"ja4_ch_ignore_sni"`
	// Signatures and L7Details are what the stop carries.
	Signatures []string `json:"signatures"`
	L7Details  []string `json:"l7_details"`
	BytesUp    uint64   `json:"bytes_up"`
	BytesDown  uint64   `json:"bytes_down"`
	// EntropyUp, EntropyDown and Skew are what the info carries: absent without
	// statistics. Skew is in [-1, 1] and also absent when sent as null.
	EntropyUp   *Entropy `json:"entropy_up,omitempty"`
	EntropyDown *Entropy `json:"entropy_down,omitempty"`
	Skew        *float64 `json:"skew,omitempty"`
	// Sinkhole has the results of a sink feature in the info.
	Sinkhole *Sinkhole `json:"sinkhole,omitempty"`
	// FailedConnect: the server could not be reached.
	FailedConnect bool `json:"failed_connect,omitempty"`
	// DurationSeconds is the time from the first data to the stop, as scripted;
	// the end of the run shortens it.
	DurationSeconds float64 `json:"duration_seconds"`

	// Asked: at least one access-request was sent. Verdict is accept, reject or failed, "" without a request. Echo is the
	// answer as the info repeats it.
	Asked   bool   `json:"asked"`
	Verdict string `json:"verdict,omitempty"`
	// Decision is the receiver's verdict, accept or reject, in an acknowledged answer; else "". If that answer was lost,
	// Verdict is failed.
	Decision string `json:"decision,omitempty"`
	// Blocked: the access-request failed, and the proxy let nothing pass.
	Blocked bool            `json:"blocked,omitempty"`
	Echo    json.RawMessage `json:"echo,omitempty"`

	// Access, Start, Stop and Info are the events; absent when there was none.
	// Access holds both requests of a SOCKS connection.
	Access *Delivery `json:"access,omitempty"`
	Start  *Delivery `json:"start,omitempty"`
	Stop   *Delivery `json:"stop,omitempty"`
	Info   *Delivery `json:"info,omitempty"`

	// Faults are the injected faults: late-start, lost-stop, lost-start, lost-info, stop-before-start, info-before-stop,
	// info-before-start, silent-end, left-open.
	Faults []string `json:"faults,omitempty"`
	// RestartedOpen: the proxy restarted while the connection was open or had
	// something left to send.
	RestartedOpen bool `json:"restarted_open,omitempty"`
	// PlannedStop: that restart was a SIGTERM.
	PlannedStop bool `json:"planned_stop,omitempty"`
	// Listable: the lists of pings can have the connection. Listed: the receiver acknowledged a list that has it.
	Listable bool `json:"listable"`
	Listed   bool `json:"listed"`
	// PingsAfter counts the acknowledged lists without the connection after it ended, in the same boot, up to 2. It is
	// only valid if no other event reported the end.
	PingsAfter int `json:"pings_after"`
	// Expected is the close reason that a correct receiver must report:
	//   - stop: the stop was acknowledged.
	//   - rejected: no stop, and the info echoes a reject.
	//   - blocked: no stop, and the info echoes a failed access-request. A receiver
	//     without that reason reports lost.
	//   - lost: no stop but an info; or nothing, and after a list with it two lists
	//     without it.
	//   - restart: no stop but an info after a SIGTERM; or nothing, and the proxy
	//     restarted before two lists showed that it is gone.
	//   - open: nothing tells its end.
	//   - none: nothing that carries its id was acknowledged. In the HOWTO form an
	//     access-request carries it.
	Expected string `json:"expected"`
}

// The values of Connection.Expected.
const (
	ExpectedStop     = "stop"
	ExpectedRejected = "rejected"
	ExpectedBlocked  = "blocked"
	ExpectedLost     = "lost"
	ExpectedRestart  = "restart"
	ExpectedOpen     = "open"
	ExpectedNone     = "none"
)

// Entropy is the entropy of one side's payload.
type Entropy struct {
	// Bits are per byte, 0 to 8, and mean nothing without data.
	Bits  float64 `json:"bits"`
	Bytes uint64  `json:"bytes_accounted"`
	Data  bool    `json:"data"`
}

// Sinkhole has the results of a sink feature, left for the client's payload and right for the server's.
type Sinkhole struct {
	Left            bool `json:"sink_left"`
	Right           bool `json:"sink_right"`
	SunkenLeft      int  `json:"sunken_left"`  // bytes
	SunkenRight     int  `json:"sunken_right"` // bytes
	ReplacementSize int  `json:"replacement_size"`
}

// Delivery is the outcome of one event.
type Delivery struct {
	// Events is 1, for the access-requests of a SOCKS connection of generation
	// 2025 2.
	Events       int  `json:"events"`
	Acknowledged bool `json:"acknowledged"`
	// Dropped: the event was never sent, because the queue was full or the proxy
	// was stopped.
	Dropped                bool `json:"dropped,omitempty"`
	Deliveries             int  `json:"deliveries"`
	AcknowledgedDeliveries int  `json:"acknowledged_deliveries"`
	// Status is the last answer's, 0 without one.
	Status int `json:"status"`
	// FirstTried is when the first try began, whatever its outcome.
	FirstTried time.Time `json:"first_tried,omitzero"`
	// FirstSent and FirstAnswered are of the first acknowledged delivery,
	// LastSent and LastAnswered of the last: the receiver got it in between.
	FirstSent     time.Time `json:"first_sent,omitzero"`
	FirstAnswered time.Time `json:"first_answered,omitzero"`
	LastSent      time.Time `json:"last_sent,omitzero"`
	LastAnswered  time.Time `json:"last_answered,omitzero"`
}

// tried records the beginning of a try.
func (d *Delivery) tried(at time.Time) {
	if d.FirstTried.IsZero() {
		d.FirstTried = at
	}
}

// note adds an answer to the delivery.
func (d *Delivery) note(a answer) {
	d.Deliveries++
	d.Status = a.status
	if !a.ok() {
		return
	}
	if !d.Acknowledged {
		d.FirstSent, d.FirstAnswered = a.sent, a.answered
	}
	d.Acknowledged = true
	d.AcknowledgedDeliveries++
	d.LastSent, d.LastAnswered = a.sent, a.answered
}

// Known reports whether the receiver acknowledged the event. It is false for a nil Delivery.
func (d *Delivery) Known() bool { return d != nil && d.Acknowledged }
