package verdict

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"smithproxy_exporter/exporter/event"
)

// rule is a compiled Rule.
type rule struct {
	name    string
	verdict event.Verdict
	trial   bool

	// What is nil matches everything.
	sources                  []Glob
	clients, servers         []netip.Prefix
	clientLists, serverLists []*List
	ports                    []Ports
	transports               []event.Transport
	policies                 []int
	schedule                 *timetable
}

// newRule compiles a valid rule, without its lists.
func newRule(r *Rule) rule {
	c := rule{
		name: r.Name, verdict: r.Verdict, trial: r.DryRun, sources: r.Source,
		clients: prefixes(r.Client), servers: prefixes(r.Server),
		ports: r.Port, transports: r.Transport, policies: r.Policy,
	}
	if r.Schedule != nil {
		c.schedule = r.Schedule.compile()
	}
	return c
}

func prefixes(networks []Network) []netip.Prefix {
	var p []netip.Prefix
	for _, n := range networks {
		p = append(p, netip.Prefix(n))
	}
	return p
}

// subject is a request in the terms of the rules.
type subject struct {
	source         string
	client, server netip.Addr // invalid when not known
	port           uint16     // 0 when not known
	transport      event.Transport
	policy         int
	at             time.Time
}

func subjectOf(q Request) subject {
	return subject{
		source: q.Source, client: address(q.Session.Client), server: address(q.Session.Server),
		port: q.Session.Server.Port, transport: q.Session.Transport(), policy: q.Policy, at: q.At,
	}
}

// fields say what the fields of a rule mean. mismatch is called for a rule that has the field, and returns
// why the subject does not match it, "" when it does. It is what the index has to agree with.
var fields = []struct {
	name     string
	has      func(*rule) bool
	mismatch func(*rule, *subject) string
}{
	{"source", func(r *rule) bool { return r.sources != nil }, func(r *rule, s *subject) string {
		return unless(matchAny(r.sources, s.source), "%q is not %s", s.source, list(r.sources))
	}},
	{"client", func(r *rule) bool { return r.clients != nil }, func(r *rule, s *subject) string {
		return outside(s.client, r.clients)
	}},
	{"client_file", func(r *rule) bool { return r.clientLists != nil }, func(r *rule, s *subject) string {
		return unlisted(s.client, r.clientLists)
	}},
	{"server", func(r *rule) bool { return r.servers != nil }, func(r *rule, s *subject) string {
		return outside(s.server, r.servers)
	}},
	{"server_file", func(r *rule) bool { return r.serverLists != nil }, func(r *rule, s *subject) string {
		return unlisted(s.server, r.serverLists)
	}},
	{"port", func(r *rule) bool { return r.ports != nil }, func(r *rule, s *subject) string {
		if s.port == 0 {
			return "is not known"
		}
		in := slices.ContainsFunc(r.ports, func(p Ports) bool { return p.contains(s.port) })
		return unless(in, "%d is not %s", s.port, list(r.ports))
	}},
	{"transport", func(r *rule) bool { return r.transports != nil }, func(r *rule, s *subject) string {
		if s.transport == event.TransportUnknown {
			return "is not known"
		}
		return unless(slices.Contains(r.transports, s.transport), "%s is not %s", s.transport, list(r.transports))
	}},
	{"policy", func(r *rule) bool { return r.policies != nil }, func(r *rule, s *subject) string {
		in := slices.Contains(r.policies, s.policy)
		if s.policy == event.PolicyUnknown {
			return unless(in, "is not known")
		}
		return unless(in, "%d is not %s", s.policy, list(r.policies))
	}},
	{"schedule", func(r *rule) bool { return r.schedule != nil }, func(r *rule, s *subject) string {
		in := r.schedule.contains(s.at)
		at := s.at.In(r.schedule.zone)
		return unless(in, "%s is not in %v", dayName(at.Weekday())+at.Format(" 15:04 MST"), r.schedule)
	}},
}

func unless(ok bool, format string, values ...any) string {
	if ok {
		return ""
	}
	return fmt.Sprintf(format, values...)
}

// outside says that an address is in none of the networks.
func outside(addr netip.Addr, networks []netip.Prefix) string {
	if !addr.IsValid() {
		return "is not known"
	}
	in := slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(addr) })
	return unless(in, "%v is not in %s", addr, list(networks))
}

// unlisted says that an address is on none of the lists.
func unlisted(addr netip.Addr, lists []*List) string {
	if !addr.IsValid() {
		return "is not known"
	}
	on := slices.ContainsFunc(lists, func(l *List) bool { return l.contains(addr) })
	return unless(on, "%v is not on %s", addr, list(lists))
}

func (l *List) String() string { return fmt.Sprintf("%s (%d entries)", l.Path, l.Len()) }

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
