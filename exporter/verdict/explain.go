package verdict

import "smithproxy_exporter/exporter/event"

// Explanation is an Outcome and how it came about.
type Explanation struct {
	Outcome
	// Passed are the rules above the one that decided, all of them when a default did.
	Passed []Passed
}

// Passed is a rule that did not decide.
type Passed struct {
	Rule    string
	Verdict event.Verdict
	// Mismatches are the fields that did not match. There are none for a rule that matched, and is on trial.
	Mismatches []Mismatch
}

// Mismatch is a field that did not match, and why.
type Mismatch struct{ Field, Why string }

// Explain decides as Decide does, and says why. It tries all rules one by one.
func (s *Set) Explain(q Request) Explanation {
	e := Explanation{Outcome: s.Decide(q)}
	subject := subjectOf(q)
	for i := range s.rules {
		r := &s.rules[i]
		p := Passed{Rule: r.name, Verdict: r.verdict}
		for _, f := range fields {
			if !f.has(r) {
				continue
			}
			if why := f.mismatch(r, &subject); why != "" {
				p.Mismatches = append(p.Mismatches, Mismatch{f.name, why})
			}
		}
		if p.Mismatches == nil && !r.trial {
			break
		}
		e.Passed = append(e.Passed, p)
	}
	return e
}
