package verdict

import (
	"slices"

	"smithproxy_exporter/exporter/event"
)

// Set is a compiled configuration. It never changes, and is safe for use by many goroutines.
type Set struct {
	// fallback is the default of the proxies that defaults do not name.
	fallback event.Verdict
	defaults []ProxyDefault
	dryRun   bool
	rules    []rule
	lists    []*List
	sources  *sourceIndex
	index    *index
}

func newSet(c Config, rules []rule, pause func()) *Set {
	s := &Set{fallback: c.Default, defaults: c.Defaults, dryRun: c.DryRun, rules: rules}
	if s.fallback == "" {
		s.fallback = event.Accept
	}
	seen := map[*List]bool{}
	for i := range rules {
		for _, lists := range [][]*List{rules[i].clientLists, rules[i].serverLists} {
			for _, l := range lists {
				if !seen[l] {
					seen[l] = true
					s.lists = append(s.lists, l)
				}
			}
		}
	}
	s.sources = newSourceIndex(rules, s.fallback, s.defaults)
	s.index = newIndex(rules, pause)
	return s
}

// Decide says what the rules say of a request. It does no I/O, and the time is the request's.
func (s *Set) Decide(q Request) Outcome {
	subject := subjectOf(q)
	known := s.sources.find(q.Source)
	first, decides := s.index.find(&subject, known)
	return s.outcome(first, decides, known.fallback)
}

// Default says what the rules say of a request of the proxy when none of them matches.
func (s *Set) Default(source string) Outcome {
	return s.outcome(-1, -1, s.sources.find(source).fallback)
}

// outcome is what follows when first is the first rule that matches, and decides the first of those that
// are not on trial; -1 for none.
func (s *Set) outcome(first, decides int, fallback event.Verdict) Outcome {
	o := Outcome{Rule: RuleDefault}
	if decides >= 0 {
		o.Verdict, o.Rule = s.rules[decides].verdict, s.rules[decides].name
	} else {
		o.Verdict = fallback
	}
	if first != decides && s.rules[first].verdict == event.Reject {
		o.DryRunRule = s.rules[first].name
	}
	if s.dryRun && o.Verdict == event.Reject {
		o.Verdict = event.Accept
		if o.DryRunRule == "" {
			o.DryRunRule = o.Rule
		}
	}
	return o
}

// Lists are the lists that the rules name, each once.
func (s *Set) Lists() []*List { return s.lists }

// Answer is how a rule can decide.
type Answer struct {
	Rule    string
	Verdict event.Verdict
}

// Answers are how the rules and, as RuleDefault, the defaults can decide, each once; and the names of those
// whose rejects are only counted, since they are on trial.
func (s *Set) Answers() (answers []Answer, dryRunRules []string) {
	add := func(rule string, v event.Verdict, trial bool) {
		if v == event.Reject && (trial || s.dryRun) {
			v = event.Accept
			if !slices.Contains(dryRunRules[max(0, len(dryRunRules)-1):], rule) {
				dryRunRules = append(dryRunRules, rule)
			}
		}
		// The defaults come last and have two verdicts at the most.
		if a := (Answer{rule, v}); !trial && !slices.Contains(answers[max(0, len(answers)-2):], a) {
			answers = append(answers, a)
		}
	}
	for i := range s.rules {
		add(s.rules[i].name, s.rules[i].verdict, s.rules[i].trial)
	}
	add(RuleDefault, s.fallback, false)
	for i := range s.defaults {
		add(RuleDefault, s.defaults[i].Verdict, false)
	}
	return answers, dryRunRules
}
