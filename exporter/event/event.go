// Package event decodes the messages of smithproxy's webhook into typed values. It knows nothing of
// HTTP or of state.
//
// Several wire forms exist in the field: that of the vendor's HOWTO and those of the versions of
// 2025 and 2026. No message carries a version, so Decode accepts all of them and returns the same
// values for each. Keys it does not know are skipped.
package event

import (
	"strconv"
	"strings"
)

// Action is the wire name of a message's kind.
type Action string

// The actions that smithproxy sends. Unknown stands for every action, and every message type other
// than "proxy", that this version does not know; the name off the wire is not kept, so that it can
// never become a label.
const (
	ActionPing     Action = "ping"
	ActionNeighbor Action = "neighbor"
	ActionStart    Action = "connection-start"
	ActionStop     Action = "connection-stop"
	ActionInfo     Action = "connection-info"
	ActionAccess   Action = "access-request"
	ActionContent  Action = "connection-content"
	ActionUnknown  Action = "unknown"
)

// Event is one decoded message. All strings are valid UTF-8 and chosen by whoever sent them.
type Event struct {
	Action Action
	// Source names the proxy: its hostname, or its configured hostid. Never empty.
	Source string
	// ID is the connection's id for the connection events; see Instance for its form. An
	// access-request has the session label here, in the HOWTO form the connection's id.
	ID string
	// Payload is one of Ping, Neighbor, Start, Stop, Info, Access, Content; nil for ActionUnknown.
	Payload any
}

// Ping is a proxy's sign of life.
type Ping struct {
	// Instance is the boot id of the daemon, "" in the HOWTO form.
	Instance string
	// Listed reports whether the ping had a list of open connections. Without one (the HOWTO form)
	// it is unknown what is open. An empty list and null both mean that nothing is open.
	Listed bool
	// Open holds the ids of the connections that have a client and a server side, nil when there are
	// none. SOCKS UDP, HTTP CONNECT and QUIC streams are never in it.
	Open []string
	// Full says whether the ping is the answer to a 202, and has the sessions of what is open as well.
	Full     bool
	Sessions []OpenSession
}

// OpenSession is a connection that is open, as the answer to a 202 names it.
type OpenSession struct{ ID, Session string }

// NeighborState says why a proxy names its neighbors.
type NeighborState string

// NeighborNew is the state of an address whose traffic the proxy sees for the first time.
const NeighborNew NeighborState = "new"

// Neighbor names client addresses that a proxy has seen traffic of.
type Neighbor struct {
	State     NeighborState
	Addresses []string
}

// Start says that a connection began.
type Start struct {
	Session string
}

// Stop says that a connection ended, and what it carried.
type Stop struct {
	Session string
	// Policy is the 0-based index of the rule that matched, PolicyUnknown or PolicyImplicit; nil when
	// the message has none.
	Policy *int
	// BytesUp went from the client to the server, BytesDown back; decrypted payload where TLS is
	// inspected.
	BytesUp, BytesDown uint64
	// JA4Client and JA4Server are the TLS fingerprints, "" when not collected.
	JA4Client, JA4Server string
	// JA4IgnoreSNI reports whether the proxy left the SNI out of JA4Client; nil when the message does
	// not say.
	JA4IgnoreSNI *bool
	// JA4HTTP holds the JA4H fingerprints of HTTP requests, of another length than Details.
	JA4HTTP []string
	// TLS says whether the connection was TLS; SNI can be "" even then.
	TLS bool
	SNI string
	// App is the L7 application that was detected, "" without one.
	App string
	// Details are the requests the L7 engine saw (URLs of HTTP); often not all of them. DetailsOmitted is how many
	// of those that the proxy listed the privacy settings left out.
	Details        []string
	DetailsOmitted int `cbor:",omitempty"`
	// Signatures are `category/name` of what the content matched.
	Signatures []string
}

// Info is what policy features collected of a connection, sent when its proxy object is destroyed.
type Info struct {
	Statistics *Statistics
	Echo       *Echo
	Sinkhole   *Sinkhole
}

// Sinkhole says what a sink-left, sink-right or sink-all feature of a policy removed from the
// connection. It is sent whenever a feature is on, with or without data.
type Sinkhole struct {
	// Left and Right report which sides are sunk: what the client sends, what the server sends.
	Left, Right bool
	// SunkenLeft and SunkenRight are the bytes removed from each side; ReplacementSize is the size in
	// bytes of what replaced them.
	SunkenLeft, SunkenRight, ReplacementSize uint64
}

// Statistics is what the statistics feature measured of the payload.
type Statistics struct {
	// Session is "" in the HOWTO form.
	Session string
	// Up is what the client sent, Down what the server sent; nil when there was no data, for then
	// there is no entropy, and 0 would be a lie.
	Up, Down *Entropy
	// Skew is (down - up)/total in [-1, 1], nil when there was no data.
	Skew *float64
}

// Entropy is measured over a sample: about the first 512 bytes of each read.
type Entropy struct {
	// Bits per byte, 0 to 8.
	Bits float64
	// Sampled is the number of bytes it was measured over, above 0.
	Sampled uint64
}

// Echo is the answer to an access-request as the proxy echoes it in connection-info.
type Echo struct {
	Session string
	// Verdict is what the answer said; "" when it was none of the two, or there was no answer.
	Verdict Verdict
	// Rule and Decision are what an exporter puts into its answer to find it again.
	Rule, Decision string
}

// Verdict is the answer to an access-request.
type Verdict string

// The verdicts. Everything but a reject lets the connection pass.
const (
	Accept Verdict = "accept"
	Reject Verdict = "reject"
)

// Access asks whether a connection may exchange data. The proxy blocks until it gets the answer.
type Access struct {
	Session string
	// Policy is PolicyUnknown in transparent mode, the matched rule over SOCKS.
	Policy int
}

// The policy numbers of smithproxy that are not the index of a rule.
const (
	// PolicyUnknown is the number for "no policy matched (yet)".
	PolicyUnknown = -1
	// PolicyImplicit is the number for "no rule matched, let through".
	PolicyImplicit = 65500
)

// PolicyText returns a policy number as labels and pages show it: "implicit" for PolicyImplicit, the
// decimal number for all others ("-1" for PolicyUnknown).
func PolicyText(policy int) string {
	if policy == PolicyImplicit {
		return "implicit"
	}
	return strconv.Itoa(policy)
}

// Content carries decrypted payload on the wire; nothing but its size is kept here.
type Content struct {
	// Side is "L" for what the client sent, "R" for what the server sent.
	Side string
	// Bytes is the size of the decoded payload.
	Bytes int
}

// Instance returns the part of a connection id that names the boot of the proxy: all before the last
// two dash-separated parts. Ids are `Proxy-<boot hex>-<kind>-<hex>` with the kinds OID, PTR and SID so
// far. The instance is "" for an id of another form: fewer than three parts, an empty part, or a
// session label (access-requests have one as their id). Such an id still identifies a connection.
func Instance(id string) string {
	if strings.Contains(id, "+") || strings.Contains(id, "--") || strings.HasPrefix(id, "-") || strings.HasSuffix(id, "-") {
		return ""
	}
	object := strings.LastIndexByte(id, '-')
	if object < 0 {
		return ""
	}
	kind := strings.LastIndexByte(id[:object], '-')
	if kind < 0 {
		return ""
	}
	return id[:kind]
}
