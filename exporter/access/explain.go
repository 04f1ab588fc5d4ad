package access

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"smithproxy_exporter/exporter/event"
)

// Explanation is an Outcome with its reasons.
type Explanation struct {
	Request Request
	Outcome
	// Passed are the rules above the one that decided; all rules if a default did.
	Passed []Passed
}

// Passed is a rule that did not decide.
type Passed struct {
	Rule    string
	Verdict event.Verdict
	// Mismatches are the fields that did not match. A dry-run rule that matched has none.
	Mismatches []Mismatch
}

// Mismatch is a field that did not match, and why.
type Mismatch struct{ Field, Why string }

// Explain decides like Decide, and returns the reasons, too.
func (s *Set) Explain(q Request) Explanation {
	e := Explanation{Request: q, Outcome: s.Decide(q)}
	subject := subjectOf(q)
	for i := range s.rules {
		r := &s.rules[i]
		p := Passed{Rule: r.name, Verdict: r.verdict, Mismatches: r.mismatches(&subject)}
		if p.Mismatches == nil && !r.dryRun {
			break
		}
		e.Passed = append(e.Passed, p)
	}
	return e
}

// String returns the explanation as lines of text.
func (e Explanation) String() string {
	var b strings.Builder
	q := e.Request
	policy := "not known"
	if q.Policy != event.PolicyUnknown {
		policy = event.PolicyText(q.Policy)
	}
	fmt.Fprintf(&b, "request:  source %q, client %s, server %s, transport %s, policy %s, at %s\n", q.Source,
		hostPort(q.Session.Client), hostPort(q.Session.Server), q.Session.Transport(), policy, q.At.Format(time.RFC3339))
	fmt.Fprintf(&b, "verdict:  %s\nrule:     %s\n", e.Verdict, e.Rule)
	if e.DryRunRule != "" {
		fmt.Fprintf(&b, "dry run:  %s would reject\n", e.DryRunRule)
	}
	for i, p := range e.Passed {
		if i == 0 {
			b.WriteString("\nThe rules above it:\n")
		}
		fmt.Fprintf(&b, "  %s (%s)\n", p.Rule, p.Verdict)
		if len(p.Mismatches) == 0 {
			b.WriteString("    matches, but is a dry-run rule and decides nothing\n")
		}
		for _, m := range p.Mismatches {
			fmt.Fprintf(&b, "    %s: %s\n", m.Field, m.Why)
		}
	}
	return b.String()
}

func hostPort(e event.Endpoint) string {
	if !e.Known() {
		return "not known"
	}
	return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
}
