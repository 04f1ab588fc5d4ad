// Package search is the query language in which connections are searched: terms such as client:10.0.0.0/8, bytes>10MB and
// since:1h, negated with a leading -, and free text. All terms must match. It has no clock, and does no I/O.
package search

// Term describes a term of the language for people.
type Term struct {
	// Name is the word before the operator, "" for free text.
	Name string
	// Operators are those that can follow.
	Operators []string
	// Value says what the value is, Meaning what is selected, Example is a whole term.
	Value, Meaning, Example string
}

var (
	equal      = []string{":"}
	comparison = []string{">", ">=", "<", "<=", ":"}
)

// Terms are all terms, in the order of the documentation.
var Terms = []Term{
	{"source", equal, "name", "the proxy", "source:edge-*"},
	{"client", equal, "address, CIDR, or hashed address", "the client's address", "client:10.0.0.0/8"},
	{"server", equal, "address, CIDR or name", "the server's address, host or SNI", "server:192.0.2.0/24"},
	{"port", equal, "number", "the server's port", "port:443,8443"},
	{"sni", equal, "name", "the server name in the TLS hello", "sni:*.example.com"},
	{"app", equal, "name", "the application, known when a connection stops", "app:http2"},
	{"transport", equal, "tcp, tls, udp, unix, ssh, quic, …", "the transport", "transport:quic"},
	{"policy", equal, "number, implicit or unknown", "the proxy's policy that matched", "policy:3"},
	{"verdict", equal, "accept, reject or none", "how the access-request was answered; none without one", "verdict:reject"},
	{"rule", equal, "name", "the access rule that decided, or the dry-run rule that would have rejected", "rule:default"},
	{"state", equal, "open, unknown, closing or finished", "the state; unknown is open at a proxy that is down", "state:open"},
	{"reason", equal, "stop, rejected, lost, restart or evicted", "why it is over", "reason:lost"},
	{"bytes", comparison, "size", "bytes in both directions, known when a connection stops", "bytes>10MB"},
	{"up", comparison, "size", "bytes from the client to the server", "up>1MiB"},
	{"down", comparison, "size", "bytes from the server to the client", "down<=100kB"},
	{"duration", comparison, "duration", "time from start to end, or until now while it is open", "duration>10m"},
	{"entropy", comparison, "bits per byte, 0 to 8", "the higher entropy of both directions", "entropy>7.5"},
	{"since", equal, "duration before now, or time", "connections that ended after it, or are open", "since:1h"},
	{"until", equal, "duration before now, or time", "connections that started before it", "until:2026-11-24T18:00:00Z"},
	{"ja4", equal, "fingerprint", "the JA4 fingerprint of the client's TLS hello", "ja4:t13d1516h2_*"},
	{"id", equal, "name", "the connection's id or name", "id:Proxy-1234ABCD-SID-2A"},
	{"", nil, "text", "text in the SNI, the addresses or the requests; an address or a CIDR as client or server", "example"},
}

// find returns the term with the name.
func find(name string) (t Term, ok bool) {
	for _, t := range Terms {
		if t.Name == name && name != "" {
			return t, true
		}
	}
	return Term{}, false
}
