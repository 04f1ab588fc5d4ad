package access

import (
	"fmt"
	"slices"

	"smithproxy_exporter/exporter/event"
)

// Set is a compiled Config. It never changes, and is safe for concurrent use.
type Set struct {
	rules    []rule
	defaults []proxyDefault
	// fallback is the default verdict of proxies that match no entry of defaults.
	fallback event.Verdict
	// dryRun makes all rules and defaults dry-run.
	dryRun bool
	lists  []*List
}

// proxyDefault is a compiled ProxyDefault.
type proxyDefault struct {
	written []Glob
	sources Names
	verdict event.Verdict
}

func newSet(c Config, rules []rule, lists []*List) *Set {
	s := &Set{rules: rules, fallback: c.Default, dryRun: c.DryRun, lists: lists}
	if s.fallback == "" {
		s.fallback = event.Accept
	}
	for _, d := range c.Defaults {
		s.defaults = append(s.defaults, proxyDefault{d.Source, NewNames(d.Source), d.Verdict})
	}
	return s
}

// Decide returns the outcome of the rules for a request.
func (s *Set) Decide(q Request) Outcome {
	subject := subjectOf(q)
	var dryRun *rule // the first dry-run rule that matches
	for i := range s.rules {
		r := &s.rules[i]
		if !r.matches(&subject) {
			continue
		}
		if !r.dryRun {
			return s.outcome(Outcome{Verdict: r.verdict, Rule: r.name}, dryRun)
		}
		if dryRun == nil {
			dryRun = r
		}
	}
	return s.outcome(s.byDefault(q.Source), dryRun)
}

// Default returns the outcome for a request of the proxy that no rule matches.
func (s *Set) Default(source string) Outcome { return s.outcome(s.byDefault(source), nil) }

func (s *Set) byDefault(source string) Outcome {
	o := Outcome{Verdict: s.fallback, Rule: RuleDefault}
	for i := range s.defaults {
		if s.defaults[i].sources.Match(source) {
			o.Verdict = s.defaults[i].verdict
			break
		}
	}
	return o
}

// outcome adds the effect of dry runs. dryRun is the first dry-run rule that matched before the outcome, or nil.
func (s *Set) outcome(o Outcome, dryRun *rule) Outcome {
	if dryRun != nil && dryRun.verdict == event.Reject {
		o.DryRunRule = dryRun.name
	}
	if s.dryRun && o.Verdict == event.Reject {
		o.Verdict = event.Accept
		if o.DryRunRule == "" {
			o.DryRunRule = o.Rule
		}
	}
	return o
}

// DryRun reports whether all rules and defaults are dry-run.
func (s *Set) DryRun() bool { return s.dryRun }

// Description is a rule as it is shown.
type Description struct {
	Name    string
	Verdict event.Verdict
	DryRun  bool
	// Conditions are the fields, as in "client: 10.0.0.0/8, 192.0.2.1/32".
	Conditions []string
}

// Rules returns the rules in the order in which they are tried. The last one is RuleDefault, which stands for the defaults.
func (s *Set) Rules() []Description {
	all := make([]Description, 0, len(s.rules)+1)
	for i := range s.rules {
		r := &s.rules[i]
		all = append(all, Description{r.name, r.verdict, r.dryRun || s.dryRun, r.conditions()})
	}
	fallback := Description{RuleDefault, s.fallback, s.dryRun, nil}
	for _, d := range s.defaults {
		fallback.Conditions = append(fallback.Conditions, fmt.Sprintf("source: %s: %s", list(d.written), d.verdict))
	}
	return append(all, fallback)
}

// Lists returns the lists of the rules, each once.
func (s *Set) Lists() []*List { return s.lists }

// Answer is a possible decision of a rule.
type Answer struct {
	Rule    string
	Verdict event.Verdict
}

// Answers returns the possible decisions of the rules and, as RuleDefault, of the defaults, each once; and the names of
// the rules whose rejects are only counted because they are dry-run.
func (s *Set) Answers() (answers []Answer, dryRunRules []string) {
	add := func(rule string, v event.Verdict, dryRun bool) {
		if v == event.Reject && (dryRun || s.dryRun) {
			v = event.Accept
			if !slices.Contains(dryRunRules[max(0, len(dryRunRules)-1):], rule) {
				dryRunRules = append(dryRunRules, rule)
			}
		}
		// The defaults come last and have at most two verdicts.
		if a := (Answer{rule, v}); !dryRun && !slices.Contains(answers[max(0, len(answers)-2):], a) {
			answers = append(answers, a)
		}
	}
	for i := range s.rules {
		add(s.rules[i].name, s.rules[i].verdict, s.rules[i].dryRun)
	}
	add(RuleDefault, s.fallback, false)
	for i := range s.defaults {
		add(RuleDefault, s.defaults[i].verdict, false)
	}
	return answers, dryRunRules
}
