package main

import (
	"fmt"
	"io"
	"time"

	"github.com/alecthomas/kingpin/v2"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/event"
)

// accessCheck has the flags of the command access-check.
type accessCheck struct {
	source, session, policy, at string
}

func (c *accessCheck) flags(command *kingpin.CmdClause) {
	command.Flag("source", "Name of the proxy that sends the request.").Required().StringVar(&c.source)
	command.Flag("session", "Session label: tcp_10.0.0.1:40000+ssli_192.0.2.1:443. An unknown side is 0:0.").
		Required().StringVar(&c.session)
	command.Flag("policy", "Number of the policy, -1 if it is unknown, or implicit.").
		Default(event.PolicyText(event.PolicyUnknown)).StringVar(&c.policy)
	command.Flag("at", "Time for schedules: 2026-11-01T23:00:00+01:00. Default: now.").StringVar(&c.at)
}

// run writes how the rules answer the request.
func (c *accessCheck) run(set *access.Set, out io.Writer) error {
	request, err := access.ParseRequest(c.source, c.session, c.policy, c.at, time.Now())
	if err != nil {
		return fmt.Errorf("--%w", err)
	}
	_, err = fmt.Fprint(out, set.Explain(request))
	return err
}
