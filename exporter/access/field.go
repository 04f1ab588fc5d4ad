package access

import (
	"fmt"
	"slices"

	"smithproxy_exporter/exporter/event"
)

// The fields of a rule. The field schedule is a timetable.

type sourceField struct {
	written []Glob
	Names
}

func (f *sourceField) matches(s *subject) bool { return f.Match(s.source) }

func (f *sourceField) String() string { return list(f.written) }

func (f *sourceField) why(s *subject) string {
	return fmt.Sprintf("%q is not %s", s.source, list(f.written))
}

type networkField struct {
	written []Network
	Networks
	side side
}

func (f *networkField) matches(s *subject) bool { return f.Contains(s.addresses[f.side]) }

func (f *networkField) String() string { return list(f.written) }

func (f *networkField) why(s *subject) string {
	if !s.addresses[f.side].IsValid() {
		return notKnown
	}
	return fmt.Sprintf("%v is not in %s", s.addresses[f.side], list(f.written))
}

type listField struct {
	lists []*List
	side  side
}

func (f *listField) matches(s *subject) bool {
	addr := s.addresses[f.side]
	if !addr.IsValid() {
		return false
	}
	for _, l := range f.lists {
		if s.isOn(f.side, l) {
			return true
		}
	}
	return false
}

func (f *listField) String() string { return list(f.lists) }

func (f *listField) why(s *subject) string {
	if !s.addresses[f.side].IsValid() {
		return notKnown
	}
	return fmt.Sprintf("%v is not on %s", s.addresses[f.side], list(f.lists))
}

type portField []Ports

// matches reports whether the port is in a range. Port 0 is unknown, and in no range.
func (f portField) matches(s *subject) bool {
	return slices.ContainsFunc(f, func(p Ports) bool { return p.contains(s.port) })
}

func (f portField) String() string { return list(f) }

func (f portField) why(s *subject) string {
	if s.port == 0 {
		return notKnown
	}
	return fmt.Sprintf("%d is not %s", s.port, list(f))
}

type transportField []event.Transport

func (f transportField) matches(s *subject) bool { return slices.Contains(f, s.transport) }

func (f transportField) String() string { return list(f) }

func (f transportField) why(s *subject) string {
	if s.transport == event.TransportUnknown {
		return notKnown
	}
	return fmt.Sprintf("%s is not %s", s.transport, list(f))
}

type policyField []Policy

func (f policyField) matches(s *subject) bool { return slices.Contains(f, Policy(s.policy)) }

func (f policyField) String() string { return list(f) }

func (f policyField) why(s *subject) string {
	if s.policy == event.PolicyUnknown {
		return notKnown
	}
	return fmt.Sprintf("%s is not %s", event.PolicyText(s.policy), list(f))
}
