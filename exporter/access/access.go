// Package access decides access-requests by rules that an operator wrote. A decision needs nothing but
// the request itself: it takes no lock and does no I/O, because the proxy blocks until it gets the answer.
//
// A Config is what the operator wrote. A Loader reads the lists that it names and compiles it to a Set.
// Rules answer by the Set in force, and can change to another Set at any time. A Set never changes, so no
// request is answered by half a configuration.
//
// Rules are tried in order, and the first that matches decides. That takes 10 to 50 ns a rule, which is
// little for the hundreds of rules that people write. What is long are lists of addresses, and these are
// prefix tries: a list of a million entries takes no longer than one of ten.
package access

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"sync"
	"sync/atomic"

	"smithproxy_exporter/exporter/event"
)

// RuleDefault is the rule name of decisions that no rule matched.
const RuleDefault = "default"

// Outcome is what the rules say of a request.
type Outcome struct {
	Verdict event.Verdict
	// Rule is the name of the rule that decided, RuleDefault when none matched.
	Rule string
	// DryRunRule is the name of the dry-run rule that would have rejected the request; "" when none would.
	DryRunRule string
}

// Decision is the answer to one access-request.
type Decision struct {
	Outcome
	// ID is unique among all decisions of all exporters. The proxy echoes it.
	ID string
}

// Rules decide access-requests by the Set in force. They are safe for use by many goroutines.
type Rules struct {
	set atomic.Pointer[Set]
	// loaded is closed once a Set is in force.
	loaded chan struct{}
	once   sync.Once
	// Decision ids are a random part of this process and a count.
	process uint64
	count   atomic.Uint64
}

// New returns rules that wait for their first Set: until Use is called, requests wait for it. To answer them by
// anything but the rules would let through what they reject.
func New() *Rules {
	var seed [8]byte
	rand.Read(seed[:])
	return &Rules{process: binary.BigEndian.Uint64(seed[:]), loaded: make(chan struct{})}
}

// Use puts s in force for every request that Decide or Default is called for after Use returns.
func (r *Rules) Use(s *Set) {
	r.set.Store(s)
	r.once.Do(func() { close(r.loaded) })
}

// Set returns the Set in force, once there is one.
func (r *Rules) Set() *Set {
	<-r.loaded
	return r.set.Load()
}

// Decide answers a request.
func (r *Rules) Decide(q Request) Decision { return r.decision(r.Set().Decide(q)) }

// Default answers a request that the rules cannot be asked about, with the default verdict for the proxy.
// source is "" when the proxy is not known.
func (r *Rules) Default(source string) Decision { return r.decision(r.Set().Default(source)) }

func (r *Rules) decision(o Outcome) Decision {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], r.process)
	binary.BigEndian.PutUint64(id[8:], r.count.Add(1))
	return Decision{Outcome: o, ID: hex.EncodeToString(id[:])}
}
