// Package event decodes the messages of smithproxy's webhook into typed values. It has no HTTP and no state.
//
// There are several wire forms: that of the vendor's HOWTO and those of the versions of 2025 and 2026. Messages have no
// version, so Decode accepts all forms and returns the same values for each. Unknown keys are ignored.
package event

import (
	"strconv"
	"strings"
)

// Action is the kind of a message, by its name on the wire.
type Action string

// The actions that smithproxy sends. ActionUnknown replaces every unknown action, and the action of a message whose type
// is not "proxy". The original name is not kept, so that it cannot become a label value.
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

// Event is one decoded message. All strings are valid UTF-8, and are chosen by the sender.
type Event struct {
	Action Action
	// Source names the proxy: its hostname, or its configured hostid. Never empty.
	Source string
	// ID is the connection's id in connection events; see Instance for its form. An access-request has the session
	// label here, or the connection's id in the HOWTO form.
	ID string
	// Payload is one of Ping, Neighbor, Start, Stop, Info, Access, Content; nil for ActionUnknown.
	Payload any
}

// Ping is the periodic message of a proxy.
type Ping struct {
	// Instance is the boot id of the daemon, "" in the HOWTO form.
	Instance string
	// Listed reports whether the ping has a list of open connections. The HOWTO form has none. An empty list and null
	// both mean that no connection is open.
	Listed bool
	// Open are the ids of the connections that have a client and a server side, nil if there are none. SOCKS UDP, HTTP
	// CONNECT and QUIC streams are never listed. The strings of both lists share memory: clone those that you keep.
	Open []string
	// Full reports whether the ping follows a response 202, and has the session labels of the open connections, too.
	Full     bool
	Sessions []OpenSession
}

// OpenSession is an open connection in a full list.
type OpenSession struct{ ID, Session string }

// NeighborState is the reason for which a proxy reports neighbors.
type NeighborState string

// NeighborNew is the state of an address that the proxy sees for the first time.
const NeighborNew NeighborState = "new"

// Neighbor reports client addresses that a proxy has seen traffic of.
type Neighbor struct {
	State     NeighborState
	Addresses []string
}

// Start reports that a connection started.
type Start struct {
	Session string
}

// Stop reports that a connection ended, and its content.
type Stop struct {
	Session string
	// Policy is the 0-based index of the policy that matched, PolicyUnknown or PolicyImplicit; nil if the message has
	// none.
	Policy *int
	// BytesUp is the payload from the client to the server, BytesDown that from the server to the client. It is
	// decrypted payload if TLS is inspected.
	BytesUp, BytesDown uint64
	// JA4Client and JA4Server are the TLS fingerprints, "" if the proxy does not collect them.
	JA4Client, JA4Server string
	// JA4IgnoreSNI reports whether the proxy left the SNI out of JA4Client; nil if the message does not say so.
	JA4IgnoreSNI *bool
	// JA4HTTP are the JA4H fingerprints of HTTP requests. Its length differs from that of Details.
	JA4HTTP []string
	// TLS reports whether the connection was TLS; SNI can be "" even then.
	TLS bool
	SNI string
	// App is the detected L7 application, "" if there is none.
	App string
	// Details are the requests the L7 engine saw (URLs of HTTP); often not all of them. DetailsOmitted is how many
	// of those that the proxy listed the privacy settings left out.
	Details        []string
	DetailsOmitted int `cbor:",omitempty"`
	// Signatures are the signatures that the content matched, as `category/name`.
	Signatures []string
}

// Info is what policy features collected about a connection. It is sent when the proxy destroys its object.
type Info struct {
	Statistics *Statistics
	Echo       *Echo
	Sinkhole   *Sinkhole
}

// Sinkhole reports what a sink-left, sink-right or sink-all feature of a policy removed from the connection. It is sent
// whenever a feature is on, with or without data.
type Sinkhole struct {
	// Left reports whether the client's payload is removed, Right whether the server's is.
	Left, Right bool
	// SunkenLeft and SunkenRight are the bytes removed from each side; ReplacementSize is the size in
	// bytes of what replaced them.
	SunkenLeft, SunkenRight, ReplacementSize uint64
}

// Statistics is what the statistics feature measured of the payload.
type Statistics struct {
	// Session is "" in the HOWTO form.
	Session string
	// Up is the entropy of the client's payload, Down that of the server's; nil without data, because 0 would be wrong.
	Up, Down *Entropy
	// Skew is (down - up)/total in [-1, 1], nil without data.
	Skew *float64
}

// Entropy is measured over a sample: about the first 512 bytes of each read.
type Entropy struct {
	// Bits per byte, 0 to 8.
	Bits float64
	// Sampled is the number of measured bytes, greater than 0.
	Sampled uint64
}

// Echo is the answer to an access-request, as the proxy repeats it in connection-info.
type Echo struct {
	Session string
	// Verdict is the verdict of the answer; "" if that is invalid, or there was no answer.
	Verdict Verdict
	// Rule and Decision are the rule and the decision id that an exporter puts into its answer.
	Rule, Decision string
}

// Verdict is the answer to an access-request.
type Verdict string

// The verdicts. Everything but a reject lets the connection pass.
const (
	Accept Verdict = "accept"
	Reject Verdict = "reject"
)

// Access asks whether a connection may exchange data. The proxy blocks until it gets an answer.
type Access struct {
	Session string
	// Policy is PolicyUnknown in transparent mode, and the policy that matched over SOCKS.
	Policy int
}

// The policy numbers that are not the index of a policy.
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

// Content has the size of decrypted payload. The payload itself is not kept.
type Content struct {
	// Side is "L" for what the client sent, "R" for what the server sent.
	Side string
	// Bytes is the size of the decoded payload.
	Bytes int
}

// Instance returns the part of a connection id that identifies the boot of the proxy: everything before the last two
// dash-separated parts. Ids are `Proxy-<boot hex>-<kind>-<hex>` with the kinds OID, PTR and SID so far. It returns ""
// for an id of another form: with fewer than three parts, an empty part, or a session label (the id of access-requests).
// Such an id still identifies a connection.
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
