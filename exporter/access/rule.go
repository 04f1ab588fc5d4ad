package access

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"smithproxy_exporter/exporter/event"
)

// rule is a compiled Rule. It matches a subject that all its conditions match.
type rule struct {
	name       string
	verdict    event.Verdict
	dryRun     bool
	conditions []condition
}

// condition is a field of a rule that the operator wrote.
type condition interface {
	// field is its name in the configuration.
	field() string
	matches(s *subject) bool
	// why says why the subject does not match.
	why(s *subject) string
}

func (r *rule) matches(s *subject) bool {
	for _, c := range r.conditions {
		if !c.matches(s) {
			return false
		}
	}
	return true
}

// newRule compiles a valid rule with its lists. The conditions are in the order of the documentation,
// which is that of an explanation.
func newRule(r *Rule, clientLists, serverLists []*List, zones zones) rule {
	c := rule{name: r.Name, verdict: r.Verdict, dryRun: r.DryRun}
	add := func(written bool, field func() condition) {
		if written {
			c.conditions = append(c.conditions, field())
		}
	}
	add(r.Source != nil, func() condition { return &sourceField{newNames(r.Source), r.Source} })
	add(r.Client != nil, func() condition { return &networkField{"client", client, newNetworks(r.Client), r.Client} })
	add(clientLists != nil, func() condition { return &listField{"client_file", client, clientLists} })
	add(r.Server != nil, func() condition { return &networkField{"server", server, newNetworks(r.Server), r.Server} })
	add(serverLists != nil, func() condition { return &listField{"server_file", server, serverLists} })
	add(r.Port != nil, func() condition { return portField(r.Port) })
	add(r.Transport != nil, func() condition { return transportField(r.Transport) })
	add(r.Policy != nil, func() condition { return policyField(r.Policy) })
	add(r.Schedule != nil, func() condition { return r.Schedule.compile(zones) })
	return c
}

// subject is a request in the terms of the rules.
type subject struct {
	source    string
	addresses [2]netip.Addr // by side; invalid when not known
	port      uint16        // 0 when not known
	transport event.Transport
	policy    int
	at        time.Time

	// zone is the time zone of the schedule that was tried last, and wall the time of the request there.
	zone *time.Location
	wall wallMinute
}

// side is a side of a connection.
type side int

const (
	client side = iota
	server
)

func subjectOf(q Request) subject {
	return subject{
		source: q.Source, addresses: [2]netip.Addr{address(q.Session.Client), address(q.Session.Server)},
		port: q.Session.Server.Port, transport: q.Session.Transport(), policy: q.Policy, at: q.At,
	}
}

// notKnown is why a field does not match a subject of which it is not known.
const notKnown = "is not known"

// shown is how many values of a field an explanation shows.
const shown = 8

func list[T any](values []T) string {
	var b strings.Builder
	for i, v := range values {
		if i == shown {
			fmt.Fprintf(&b, " or %d others", len(values)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, v)
	}
	return b.String()
}
