package access

import (
	"net/netip"
	"path"
	"slices"
	"time"

	"smithproxy_exporter/exporter/event"
)

// reference decides as the documentation says, from the configuration as it was written: without any of
// what a Set is compiled to. lists are the networks of each list file.
type reference struct {
	Config
	lists map[string][]netip.Prefix
}

func (c reference) decide(q Request) Outcome {
	o := Outcome{Rule: RuleDefault, Verdict: c.fallback(q.Source)}
	first := -1
	for i, r := range c.Rules {
		if !c.matches(r, q) {
			continue
		}
		if first < 0 {
			first = i
		}
		if !r.DryRun {
			o.Rule, o.Verdict = r.Name, r.Verdict
			break
		}
	}
	if first >= 0 && c.Rules[first].DryRun && c.Rules[first].Verdict == event.Reject {
		o.DryRunRule = c.Rules[first].Name
	}
	if c.DryRun && o.Verdict == event.Reject {
		o.Verdict = event.Accept
		if o.DryRunRule == "" {
			o.DryRunRule = o.Rule
		}
	}
	return o
}

func (c reference) fallback(source string) event.Verdict {
	for _, d := range c.Defaults {
		if globsMatch(d.Source, source) {
			return d.Verdict
		}
	}
	if c.Default == "" {
		return event.Accept
	}
	return c.Default
}

func globsMatch(globs []Glob, source string) bool {
	return slices.ContainsFunc(globs, func(g Glob) bool { ok, _ := path.Match(string(g), source); return ok })
}

func (c reference) matches(r Rule, q Request) bool {
	on := func(files []string, e event.Endpoint) bool {
		return files == nil || slices.ContainsFunc(files, func(f string) bool { return within(c.lists[f], e) })
	}
	in := func(networks []Network, e event.Endpoint) bool {
		return networks == nil || within(prefixes(networks), e)
	}
	port := q.Session.Server.Port
	return (r.Source == nil || globsMatch(r.Source, q.Source)) &&
		in(r.Client, q.Session.Client) && on(r.ClientFile, q.Session.Client) &&
		in(r.Server, q.Session.Server) && on(r.ServerFile, q.Session.Server) &&
		(r.Port == nil || slices.ContainsFunc(r.Port, func(p Ports) bool { return p.From <= port && port <= p.To })) &&
		(r.Transport == nil || slices.Contains(r.Transport, q.Session.Transport())) &&
		(r.Policy == nil || slices.Contains(r.Policy, Policy(q.Policy))) &&
		(r.Schedule == nil || open(*r.Schedule, q.At))
}

func prefixes(networks []Network) []netip.Prefix {
	var p []netip.Prefix
	for _, n := range networks {
		p = append(p, netip.Prefix(n))
	}
	return p
}

func within(networks []netip.Prefix, e event.Endpoint) bool {
	addr, ok := e.Addr()
	return ok && slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(addr.Unmap()) })
}

// open reports whether a schedule is open: whether it began today or yesterday, and has not ended.
func open(s Schedule, at time.Time) bool {
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil {
		panic(err)
	}
	at = at.In(zone)
	now := TimeOfDay(at.Hour()*60 + at.Minute())
	for ago := range 2 {
		day := Day((int(at.Weekday()) + 7 - ago) % 7)
		if s.Days != nil && !slices.Contains(s.Days, day) {
			continue
		}
		end := s.To
		if s.To <= s.From {
			end += minutesOfDay
		}
		if since := now + TimeOfDay(ago)*minutesOfDay; s.From <= since && since < end {
			return true
		}
	}
	return false
}
