package api

import (
	"context"
	"errors"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/setting"
)

// Access returns the access rules, lists, and recent decisions. ErrNoState says that the rules are being loaded.
func (a *API) Access(context.Context) (Access, error) {
	set, ok := a.Rules.Loaded()
	if !ok {
		return Access{}, ErrNoState
	}
	view := Access{Rules: []Rule{}, Lists: a.lists(), Recent: []Decision{}, DryRun: set.DryRun()}
	rules := set.Rules()
	names := make([]string, 0, len(rules))
	for _, r := range rules {
		names = append(names, r.Name)
	}
	for i, hits := range a.Activity.RuleHits(names) {
		r := rules[i]
		view.Rules = append(view.Rules, Rule{
			Name: r.Name, Verdict: string(r.Verdict), DryRun: r.DryRun, Conditions: r.Conditions,
			Hits: hits.Hits, DryRunHits: hits.DryRunHits, LastHit: hits.LastHit,
		})
	}
	for _, d := range a.Activity.Decisions() {
		session := d.Session()
		shown := Decision{
			At: d.Received.UTC(), Source: d.Source, ID: d.ID, Client: session.Client.Host, Server: session.Server.Host, Port: session.Server.Port,
			Session: d.Label, Verdict: string(d.Verdict), Rule: d.Rule, DryRunRule: d.DryRunRule,
		}
		if d.Policy != event.PolicyUnknown {
			shown.Policy = event.PolicyText(d.Policy)
		}
		view.Recent = append(view.Recent, shown)
	}
	return view, nil
}

// lists returns the lists in force, none while the rules are being loaded.
func (a *API) lists() []AccessList {
	lists := []AccessList{}
	if set, ok := a.Rules.Loaded(); ok {
		for _, l := range set.Lists() {
			lists = append(lists, AccessList{Path: l.Path, Entries: l.Len(), Modified: l.Modified.UTC()})
		}
	}
	return lists
}

// errSource is for a TryRequest without a source.
var errSource = errors.New("is missing")

// Try returns how the access rules answer a request. It changes and counts nothing. Errors are of type *InputError, or
// ErrNoState while the rules are being loaded.
func (a *API) Try(_ context.Context, q TryRequest) (TryResult, error) {
	set, ok := a.Rules.Loaded()
	if !ok {
		return TryResult{}, ErrNoState
	}
	for _, field := range []struct{ name, value string }{{"source", q.Source}, {"session", q.Session}} {
		if field.value == "" {
			return TryResult{}, &InputError{field.name, -1, errSource}
		}
	}
	if q.Policy == "" {
		q.Policy = event.PolicyText(event.PolicyUnknown)
	}
	request, err := access.ParseRequest(q.Source, q.Session, q.Policy, q.At, a.Now())
	if err != nil {
		if wrong, ok := errors.AsType[*setting.Error](err); ok {
			return TryResult{}, &InputError{wrong.Field, -1, wrong.Err}
		}
		return TryResult{}, &InputError{"session", -1, err}
	}
	if !request.Session.Client.Known() && !request.Session.Server.Known() {
		return TryResult{}, &InputError{"session", -1, errors.New("is not a session label such as tcp_10.0.0.1:40000+ssli_192.0.2.1:443")}
	}
	return resultOf(set.Explain(request)), nil
}

func resultOf(e access.Explanation) TryResult {
	q := e.Request
	r := TryResult{
		At: q.At, Client: q.Session.Client.Host, ClientPort: q.Session.Client.Port, Server: q.Session.Server.Host, Port: q.Session.Server.Port,
		Verdict: string(e.Verdict), Rule: e.Rule, DryRunRule: e.DryRunRule, Passed: []PassedRule{},
	}
	if t := q.Session.Transport(); t != event.TransportUnknown {
		r.Transport = string(t)
	}
	if q.Policy != event.PolicyUnknown {
		r.Policy = event.PolicyText(q.Policy)
	}
	for _, p := range e.Passed {
		passed := PassedRule{Rule: p.Rule, Verdict: string(p.Verdict), Mismatches: []Mismatch{}}
		for _, m := range p.Mismatches {
			passed.Mismatches = append(passed.Mismatches, Mismatch{m.Field, m.Why})
		}
		r.Passed = append(r.Passed, passed)
	}
	return r
}
