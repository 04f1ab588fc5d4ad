// Package verdict decides access-requests by rules that an operator wrote. A decision needs nothing
// but the request itself, so that it can be given before anything else sees the request: the proxy
// stands still until then.
//
// Config is what the operator wrote, Compile makes a Set of it, and Rules answer by the Set in force. A
// Set never changes, so that no request is answered by half a configuration.
package verdict

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync/atomic"
	"time"

	"smithproxy_exporter/exporter/event"
)

// RuleDefault is the name of the rule that decides when no other does.
const RuleDefault = "default"

// Request is what is known of a connection when the proxy asks: no SNI, often no policy
// (event.PolicyUnknown), and of SOCKS not yet the server.
type Request struct {
	Source  string
	Session event.Session
	Policy  int
	// At is the time of receipt, which schedules go by.
	At time.Time
}

// Outcome is what the rules say of a request.
type Outcome struct {
	Verdict event.Verdict
	// Rule names what decided.
	Rule string
	// DryRunRule names the rule that would have rejected if it was not on trial; "" when none would.
	DryRunRule string
}

// Decision is an answer to one access-request.
type Decision struct {
	Outcome
	// ID is unique among all decisions of all exporters; the proxy echoes it.
	ID string
}

// Rules decide access-requests by the Set that is in force. They are safe for use by many goroutines.
type Rules struct {
	set atomic.Pointer[Set]
	// Decision ids are a random part of this process and a count.
	process uint64
	count   atomic.Uint64
}

// New returns rules with s in force.
func New(s *Set) *Rules {
	var seed [8]byte
	rand.Read(seed[:])
	r := &Rules{process: binary.BigEndian.Uint64(seed[:])}
	r.Use(s)
	return r
}

// Use puts s in force: for every request of which Decide begins after it returns, and for none by half.
func (r *Rules) Use(s *Set) { r.set.Store(s) }

// Decide answers a request. It takes no lock and does no I/O.
func (r *Rules) Decide(q Request) Decision { return r.decision(r.set.Load().Decide(q)) }

// Default answers a request of the proxy that the rules cannot be asked about, with the default verdict
// for the proxy. source is "" when the proxy is not known.
func (r *Rules) Default(source string) Decision { return r.decision(r.set.Load().Default(source)) }

func (r *Rules) decision(o Outcome) Decision {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], r.process)
	binary.BigEndian.PutUint64(id[8:], r.count.Add(1))
	return Decision{Outcome: o, ID: hex.EncodeToString(id[:])}
}
