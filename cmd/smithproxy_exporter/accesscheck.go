package main

import (
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/event"
)

// accessCheck is the command access-check: an access-request by hand.
type accessCheck struct {
	source, session, policy, at string
}

func (c *accessCheck) flags(command *kingpin.CmdClause) {
	command.Flag("source", "Name of the proxy that asks.").Required().StringVar(&c.source)
	command.Flag("session", "Session label: tcp_10.0.0.1:40000+ssli_192.0.2.1:443; a side that is not known is 0:0.").
		Required().StringVar(&c.session)
	command.Flag("policy", "Number of the policy; -1 for one that is not known yet, or implicit.").
		Default(event.PolicyText(event.PolicyUnknown)).StringVar(&c.policy)
	command.Flag("at", "Time, for schedules: 2026-11-01T23:00:00+01:00. Default: now.").StringVar(&c.at)
}

// run writes the verdict, the rule, and why the rules above it do not match.
func (c *accessCheck) run(set *access.Set, now time.Time, out io.Writer) error {
	var policy access.Policy
	if err := policy.UnmarshalText([]byte(c.policy)); err != nil {
		return fmt.Errorf("--policy: %w", err)
	}
	at := now
	if c.at != "" {
		var err error
		if at, err = time.Parse(time.RFC3339, c.at); err != nil {
			return fmt.Errorf("--at: %q is no time such as 2026-11-01T23:00:00+01:00", c.at)
		}
	}
	_, err := fmt.Fprint(out, set.Explain(access.Request{
		Source: c.source, Session: event.ParseSession(c.session), Policy: int(policy), At: at,
	}))
	return err
}
