package access

import (
	"fmt"
	"slices"

	"smithproxy_exporter/exporter/event"
)

// The fields of a rule, but for the schedule: timetable.

type sourceField struct {
	names
	written []Glob
}

func (*sourceField) field() string { return "source" }

func (f *sourceField) matches(s *subject) bool { return f.match(s.source) }

func (f *sourceField) why(s *subject) string {
	return fmt.Sprintf("%q is not %s", s.source, list(f.written))
}

type networkField struct {
	name string
	side side
	networks
	written []Network
}

func (f *networkField) field() string { return f.name }

func (f *networkField) matches(s *subject) bool { return f.contains(s.addresses[f.side]) }

func (f *networkField) why(s *subject) string {
	if !s.addresses[f.side].IsValid() {
		return notKnown
	}
	return fmt.Sprintf("%v is not in %s", s.addresses[f.side], list(f.written))
}

type listField struct {
	name  string
	side  side
	lists []*List
}

func (f *listField) field() string { return f.name }

func (f *listField) matches(s *subject) bool {
	addr := s.addresses[f.side]
	if !addr.IsValid() {
		return false
	}
	for _, l := range f.lists {
		if l.networks.Contains(addr) {
			return true
		}
	}
	return false
}

func (f *listField) why(s *subject) string {
	if !s.addresses[f.side].IsValid() {
		return notKnown
	}
	return fmt.Sprintf("%v is not on %s", s.addresses[f.side], list(f.lists))
}

type portField []Ports

func (portField) field() string { return "port" }

// Port 0, which is not known, is in no range.
func (f portField) matches(s *subject) bool {
	return slices.ContainsFunc(f, func(p Ports) bool { return p.contains(s.port) })
}

func (f portField) why(s *subject) string {
	if s.port == 0 {
		return notKnown
	}
	return fmt.Sprintf("%d is not %s", s.port, list(f))
}

type transportField []event.Transport

func (transportField) field() string { return "transport" }

func (f transportField) matches(s *subject) bool { return slices.Contains(f, s.transport) }

func (f transportField) why(s *subject) string {
	if s.transport == event.TransportUnknown {
		return notKnown
	}
	return fmt.Sprintf("%s is not %s", s.transport, list(f))
}

type policyField []Policy

func (policyField) field() string { return "policy" }

func (f policyField) matches(s *subject) bool { return slices.Contains(f, Policy(s.policy)) }

func (f policyField) why(s *subject) string {
	if s.policy == event.PolicyUnknown {
		return notKnown
	}
	return fmt.Sprintf("%s is not %s", event.PolicyText(s.policy), list(f))
}
