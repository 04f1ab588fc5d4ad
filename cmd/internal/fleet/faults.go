package fleet

import (
	"math/rand/v2"
	"strings"
	"time"
)

// Faults are injected faults. Shares are from 0 to 1.
type Faults struct {
	// Duplicate is the share of events whose answer is lost. The same body is delivered one to four times more;
	// generation 2026 delivers it once, and counts it as failed.
	Duplicate float64
	// Abort is the share of events whose first try is aborted in the middle of the body. Generation 2026 does not retry.
	Abort float64
	// LateStart is the share of connections whose start is sent LateStartDelay after the stop.
	LateStart      float64
	LateStartDelay time.Duration
	// LostStop is the share of HTTP connections with a URL that is not UTF-8:
	// smithproxy cannot encode their stop.
	LostStop float64
	// LostStart and LostInfo are the shares of connections whose start or info is never delivered, as if the receiver was
	// down.
	LostStart, LostInfo float64
	// Garbage is the share of connections that are accompanied by an invalid request.
	Garbage float64
	// GarbageSize is the size of a too large request, in bytes.
	GarbageSize int
	// Hostile is the share of connections with SNI, URLs and signatures that an attacker might choose, and with numbers
	// that the proxy could not compute (null).
	Hostile float64
}

// WithMix returns the faults with a default share for each one that is 0.
func (f Faults) WithMix() Faults {
	set := func(p *float64, v float64) {
		if *p == 0 {
			*p = v
		}
	}
	set(&f.Duplicate, 0.05)
	set(&f.Abort, 0.02)
	set(&f.LateStart, 0.01)
	set(&f.LostStop, 0.01)
	set(&f.LostStart, 0.01)
	set(&f.LostInfo, 0.01)
	set(&f.Garbage, 0.02)
	set(&f.Hostile, 0.05)
	return f
}

// shares returns the shares for validation.
func (f Faults) shares() []share {
	return []share{
		{"fault duplicate", f.Duplicate}, {"fault abort", f.Abort}, {"fault late start", f.LateStart},
		{"fault lost stop", f.LostStop}, {"fault lost start", f.LostStart}, {"fault lost info", f.LostInfo},
		{"fault garbage", f.Garbage}, {"fault hostile", f.Hostile},
	}
}

// tries are the faults of the tries of one event.
type tries struct {
	aborts  uint8 // tries that are aborted in the middle of the body
	repeats uint8 // tries whose answer is lost
	never   bool  // the event is never delivered
}

// tries draws the faults of one event. They are fewer than five, the number of tries before generation 2026, so that the
// last try succeeds there.
func (f Faults) tries(r *rand.Rand) tries {
	var t tries
	abort, duplicate, n := r.Float64(), r.Float64(), r.IntN(4)
	if abort < f.Abort {
		t.aborts = 1
	}
	if duplicate < f.Duplicate {
		t.repeats = uint8(min(1+n, 4-int(t.aborts)))
	}
	return t
}

// hostile returns a string that an attacker might choose. It is valid UTF-8, because smithproxy cannot send anything
// else.
func hostile(r *rand.Rand) string {
	samples := [...]string{
		`"}],"action":"connection-stop","x":[{"`,
		"a\x00b\x01c\x1b[31mred\x7f",
		"line\nbreak\r\nHost: injected",
		"{label=\"x\"} 1\n# HELP fake fake\n",
		"<script>alert(1)</script>&amp;",
		"\u202egnp.exe\u2066 \u2028 \ufeff",
		"пример.испытание-例え.テスト-🦊👩‍👩‍👧",
		"\U0010ffff\ufffd\uffff",
		"${jndi:ldap://x/y}{{7*7}}%s%n'; DROP TABLE spans; --",
		`\u0000\"\\`,
		"../../../../etc/passwd",
		" ",
	}
	i := r.IntN(len(samples) + 1)
	n := 100 + r.IntN(20_000)
	if i == len(samples) {
		return strings.Repeat("ü", n)
	}
	return samples[i]
}

// garbage is a kind of invalid request.
type garbage int

const (
	garbageNone garbage = iota
	garbageNotJSON
	garbageSecret
	garbageMethod
	garbageTooLarge
	garbageAction
	garbageType
	garbageKinds
)

func (g garbage) String() string {
	return [...]string{
		"none", "not-json", "wrong-secret", "wrong-method", "too-large", "unknown-action", "unknown-type",
	}[g]
}
