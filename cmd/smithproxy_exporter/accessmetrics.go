package main

import (
	"smithproxy_exporter/collector"
	"smithproxy_exporter/exporter/access"
)

// accessRules are the rules in the terms of the metrics.
func accessRules(s *access.Set) collector.AccessRules {
	answers, dryRuns := s.Answers()
	rules := collector.AccessRules{DryRuns: dryRuns}
	for _, a := range answers {
		rules.Answers = append(rules.Answers, collector.AccessAnswer{Verdict: string(a.Verdict), Rule: a.Rule})
	}
	return rules
}

// accessLists are the lists in the terms of the metrics.
func accessLists(s *access.Set) []collector.AccessList {
	var lists []collector.AccessList
	for _, l := range s.Lists() {
		lists = append(lists, collector.AccessList{File: l.Path, Entries: l.Len(), Modified: l.Modified})
	}
	return lists
}
