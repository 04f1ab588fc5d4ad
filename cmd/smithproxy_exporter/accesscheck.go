package main

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/verdict"
)

// accessCheck is the command access-check: an access-request by hand.
type accessCheck struct {
	source, session string
	policy          int
	at              string
}

func (c *accessCheck) flags(command *kingpin.CmdClause) {
	command.Flag("source", "Name of the proxy that asks.").Required().StringVar(&c.source)
	command.Flag("session", "Session label: tcp_10.0.0.1:40000+ssli_192.0.2.1:443; a side that is not known is 0:0.").
		Required().StringVar(&c.session)
	command.Flag("policy", "Number of the policy, -1 for one that is not known yet.").
		Default(strconv.Itoa(event.PolicyUnknown)).IntVar(&c.policy)
	command.Flag("at", "Time, for schedules: 2026-11-01T23:00:00+01:00. Default: now.").StringVar(&c.at)
}

// run writes the verdict, the rule, and why the rules above it do not match.
func (c *accessCheck) run(set *verdict.Set, now time.Time, out io.Writer) error {
	q := verdict.Request{Source: c.source, Session: event.ParseSession(c.session), Policy: c.policy, At: now}
	if c.at != "" {
		var err error
		if q.At, err = time.Parse(time.RFC3339, c.at); err != nil {
			return fmt.Errorf("--at: %q is no time such as 2026-11-01T23:00:00+01:00", c.at)
		}
	}
	e := set.Explain(q)
	var b strings.Builder
	fmt.Fprintf(&b, "request:  source %q, client %s, server %s, transport %s, policy %s, at %s\n", q.Source,
		side(q.Session.Client), side(q.Session.Server), q.Session.Transport(), policyText(q.Policy), q.At.Format(time.RFC3339))
	fmt.Fprintf(&b, "verdict:  %s\nrule:     %s\n", e.Verdict, e.Rule)
	if e.DryRunRule != "" {
		fmt.Fprintf(&b, "dry run:  %s would reject\n", e.DryRunRule)
	}
	for i, p := range e.Passed {
		if i == 0 {
			fmt.Fprintf(&b, "\nThe rules above it:\n")
		}
		fmt.Fprintf(&b, "  %s (%s)\n", p.Rule, p.Verdict)
		if len(p.Mismatches) == 0 {
			fmt.Fprintf(&b, "    matches, but is on trial and decides nothing\n")
		}
		for _, m := range p.Mismatches {
			fmt.Fprintf(&b, "    %s: %s\n", m.Field, m.Why)
		}
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func side(e event.Endpoint) string {
	if !e.Known() {
		return "not known"
	}
	return net.JoinHostPort(e.Host, strconv.Itoa(int(e.Port)))
}

func policyText(policy int) string {
	if policy == event.PolicyUnknown {
		return "not known"
	}
	return strconv.Itoa(policy)
}
