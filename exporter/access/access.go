// Package access decides access-requests by the rules of the configuration. A decision takes no lock and does no I/O,
// because the proxy blocks until it gets the answer.
//
// A Loader reads the lists that a Config names, and compiles it to a Set. A Set never changes. Rules answer requests by
// the Set in force, which can be replaced at any time, so that no request is answered by half a configuration.
//
// Rules are tried in order, and the first that matches decides. A rule takes 10 to 50 ns, which is little for the
// hundreds of rules that people write. Lists of addresses can be long, so they are prefix tries: a list of a million
// entries takes as long as a list of ten.
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

// Outcome is the result of the rules for a request.
type Outcome struct {
	Verdict event.Verdict
	// Rule is the name of the rule that decided, RuleDefault if no rule matched.
	Rule string
	// DryRunRule is the name of the dry-run rule that would have rejected the request; "" if there is none.
	DryRunRule string
}

// Decision is the answer to one access-request.
type Decision struct {
	Outcome
	// ID is unique among all decisions of all exporters. The proxy echoes it.
	ID string
}

// Rules decide access-requests by the Set in force. They are safe for concurrent use.
type Rules struct {
	set atomic.Pointer[Set]
	// loaded is closed once a Set is in force.
	loaded chan struct{}
	once   sync.Once
	// A decision id is a random number of this process and a count.
	process uint64
	count   atomic.Uint64
}

// New returns rules without a Set. Until the first call of Use, requests wait: without rules, an answer could accept
// what they reject.
func New() *Rules {
	var seed [8]byte
	rand.Read(seed[:])
	return &Rules{process: binary.BigEndian.Uint64(seed[:]), loaded: make(chan struct{})}
}

// Use puts s in force for all calls of Decide and Default that begin after Use returns.
func (r *Rules) Use(s *Set) {
	r.set.Store(s)
	r.once.Do(func() { close(r.loaded) })
}

// Set returns the Set in force. It waits for the first one.
func (r *Rules) Set() *Set {
	<-r.loaded
	return r.set.Load()
}

// Loaded returns the Set in force without waiting; ok is false before the first one.
func (r *Rules) Loaded() (s *Set, ok bool) {
	s = r.set.Load()
	return s, s != nil
}

// Decide answers a request.
func (r *Rules) Decide(q Request) Decision { return r.decision(r.Set().Decide(q)) }

// Default answers a request that cannot be decoded, with the default verdict for the proxy. source is "" if the proxy is
// not known.
func (r *Rules) Default(source string) Decision { return r.decision(r.Set().Default(source)) }

func (r *Rules) decision(o Outcome) Decision {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], r.process)
	binary.BigEndian.PutUint64(id[8:], r.count.Add(1))
	return Decision{Outcome: o, ID: hex.EncodeToString(id[:])}
}
