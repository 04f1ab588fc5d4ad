// Package verdict decides access-requests. A decision needs nothing but the request itself, so that
// it can be given before anything else sees the request: the proxy stands still until then.
package verdict

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"sync/atomic"

	"smithproxy_exporter/exporter/event"
)

// RuleDefault is the name of the rule that decides when no other does.
const RuleDefault = "default"

// Decision is an answer to one access-request.
type Decision struct {
	Verdict event.Verdict
	// Rule names what decided.
	Rule string
	// ID is unique among all decisions of all exporters; the proxy echoes it.
	ID string
}

// Rules decide access-requests. They are safe for use by many goroutines.
type Rules struct {
	fallback event.Verdict
	// Decision ids are a random part of this process and a count.
	process uint64
	count   atomic.Uint64
}

// Config is the access part of the configuration.
type Config struct {
	// Default is the verdict for what no rule decides: accept or reject; "" is accept.
	Default event.Verdict `yaml:"default"`
}

// Validate says what is wrong with the configuration.
func (c Config) Validate() error {
	switch c.Default {
	case "", event.Accept, event.Reject:
		return nil
	}
	return fmt.Errorf("default: %q is neither accept nor reject", c.Default)
}

// New returns the rules of a valid configuration.
func New(c Config) *Rules {
	var seed [8]byte
	rand.Read(seed[:])
	r := &Rules{fallback: c.Default, process: binary.BigEndian.Uint64(seed[:])}
	if r.fallback == "" {
		r.fallback = event.Accept
	}
	return r
}

// Decide answers a request. It takes no lock and does no I/O.
func (r *Rules) Decide() Decision {
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], r.process)
	binary.BigEndian.PutUint64(id[8:], r.count.Add(1))
	return Decision{Verdict: r.fallback, Rule: RuleDefault, ID: hex.EncodeToString(id[:])}
}

// Default is the verdict for what no rule decides.
func (r *Rules) Default() event.Verdict { return r.fallback }
