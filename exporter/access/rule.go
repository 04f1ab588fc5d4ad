package access

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"smithproxy_exporter/exporter/event"
)

// rule is a compiled Rule. A field that is absent matches everything.
type rule struct {
	name    string
	verdict event.Verdict
	dryRun  bool

	source                   sourceField
	client, server           networkField
	clientLists, serverLists listField
	port                     portField
	transport                transportField
	policy                   policyField
	schedule                 *timetable
}

// newRule compiles a valid rule with its lists.
func newRule(r *Rule, clientLists, serverLists []*List, zones zones) rule {
	c := rule{
		name: r.Name, verdict: r.Verdict, dryRun: r.DryRun,
		source: sourceField{r.Source, NewNames(r.Source)},
		client: networkField{r.Client, NewNetworks(r.Client), client}, clientLists: listField{clientLists, client},
		server: networkField{r.Server, NewNetworks(r.Server), server}, serverLists: listField{serverLists, server},
		port: r.Port, transport: r.Transport, policy: r.Policy,
	}
	if r.Schedule != nil {
		c.schedule = r.Schedule.compile(zones)
	}
	return c
}

// matches reports whether all fields match. It tries fast ones first.
func (r *rule) matches(s *subject) bool {
	return (r.policy == nil || r.policy.matches(s)) &&
		(r.port == nil || r.port.matches(s)) &&
		(r.transport == nil || r.transport.matches(s)) &&
		(r.schedule == nil || r.schedule.matches(s)) &&
		(r.source.written == nil || r.source.matches(s)) &&
		(r.client.written == nil || r.client.matches(s)) &&
		(r.server.written == nil || r.server.matches(s)) &&
		(r.clientLists.lists == nil || r.clientLists.matches(s)) &&
		(r.serverLists.lists == nil || r.serverLists.matches(s))
}

// field is a field of a rule.
type field interface {
	matches(s *subject) bool
	// why returns the reason why the subject does not match.
	why(s *subject) string
	// String returns the values.
	String() string
}

// namedField is a field of a rule with its name in the configuration.
type namedField struct {
	name    string
	written bool
	field   field
}

// fields returns the fields in the order of the documentation.
func (r *rule) fields() []namedField {
	return []namedField{
		{"source", r.source.written != nil, &r.source},
		{"client", r.client.written != nil, &r.client},
		{"client_file", r.clientLists.lists != nil, &r.clientLists},
		{"server", r.server.written != nil, &r.server},
		{"server_file", r.serverLists.lists != nil, &r.serverLists},
		{"port", r.port != nil, r.port},
		{"transport", r.transport != nil, r.transport},
		{"policy", r.policy != nil, r.policy},
		{"schedule", r.schedule != nil, r.schedule},
	}
}

// mismatches returns the fields that do not match.
func (r *rule) mismatches(s *subject) []Mismatch {
	var all []Mismatch
	for _, f := range r.fields() {
		if f.written && !f.field.matches(s) {
			all = append(all, Mismatch{f.name, f.field.why(s)})
		}
	}
	return all
}

// conditions returns the fields with their values.
func (r *rule) conditions() (all []string) {
	for _, f := range r.fields() {
		if f.written {
			all = append(all, fmt.Sprintf("%s: %v", f.name, f.field))
		}
	}
	return all
}

// subject is a request in the form that rules compare.
type subject struct {
	source    string
	addresses [2]netip.Addr // by side; invalid if unknown
	port      uint16        // 0 if unknown
	transport event.Transport
	policy    int
	at        time.Time

	// zone is the time zone of the schedule that was tried last, wall the time of the request in it.
	zone *time.Location
	wall wallMinute

	// looked and on cache, by side and as one bit for each of the first 64 lists of the Set, which lists were looked up,
	// and which contain the address. Rules often share lists.
	looked, on [2]uint64
}

// isOn reports whether the address of a side is on a list.
func (s *subject) isOn(side side, l *List) bool {
	bit := uint64(1) << l.index // 0 from index 64
	if s.looked[side]&bit == 0 {
		s.looked[side] |= bit
		if !l.networks.Contains(s.addresses[side]) {
			return false
		}
		s.on[side] |= bit
		return true
	}
	return s.on[side]&bit != 0
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

// notKnown is the reason why a field does not match a subject for which its value is unknown.
const notKnown = "is not known"

// shown bounds the values of a field in an explanation.
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
