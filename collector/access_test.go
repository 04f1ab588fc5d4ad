package collector

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

func TestAccessRules(t *testing.T) {
	sink := New(DefaultConfig(), time.Now)
	sink.useAccessRules(accessRules{
		answers: []accessAnswer{{"reject", "old"}, {"accept", "default"}}, dryRuns: []string{"trial"},
	})
	sink.Take(track.ProxyAppeared{Source: "a"})
	old := &track.Decision{Source: "a", Verdict: event.Reject, Rule: "old"}
	trial := &track.Decision{Source: "a", Verdict: event.Accept, Rule: "default", DryRunRule: "trial"}
	sink.Take(track.Decided{D: old})
	sink.Take(track.Decided{D: trial})
	sink.Take(track.Decided{D: trial, Repeat: true})
	sink.useAccessRules(accessRules{answers: []accessAnswer{{"reject", "new"}, {"accept", "default"}}, dryRuns: []string{"other"}})
	sink.Take(track.ProxyAppeared{Source: "b"})
	sink.Take(track.Decided{D: trial, Corrected: true})
	sink.Take(track.Decided{D: old}) // it was answered before the reload
	want := `
# HELP smithproxy_access_dry_run_rejects_total Total number of connections that a dry-run rule would have rejected.
# TYPE smithproxy_access_dry_run_rejects_total counter
smithproxy_access_dry_run_rejects_total{rule="other",source="a"} 0
smithproxy_access_dry_run_rejects_total{rule="other",source="b"} 0
smithproxy_access_dry_run_rejects_total{rule="trial",source="a"} 2
# HELP smithproxy_access_requests_total Total number of connections decided by an access-request, by verdict and rule.
# TYPE smithproxy_access_requests_total counter
smithproxy_access_requests_total{rule="default",source="a",verdict="accept"} 2
smithproxy_access_requests_total{rule="default",source="b",verdict="accept"} 0
smithproxy_access_requests_total{rule="new",source="a",verdict="reject"} 0
smithproxy_access_requests_total{rule="new",source="b",verdict="reject"} 0
smithproxy_access_requests_total{rule="old",source="a",verdict="reject"} 2
`
	if err := testutil.GatherAndCompare(sink, strings.NewReader(want),
		"smithproxy_access_requests_total", "smithproxy_access_dry_run_rejects_total"); err != nil {
		t.Error(err)
	}
	if n, err := testutil.GatherAndCount(sink, "smithproxy_access_request_duration_seconds"); n != 2 || err != nil {
		t.Errorf("%d series of the decision time, want 2 (%v)", n, err)
	}
}

func TestAccessLists(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	lists := newAccessLists(registry)
	long := strings.Repeat("x", maxLabelBytes)
	lists.use([]accessList{
		{"feeds/a.netset", 3, time.Unix(1700000000, 0)}, {long + "1", 1, time.Unix(1, 0)}, {long + "2", 1, time.Unix(1, 0)},
	})
	if _, err := registry.Gather(); err != nil {
		t.Error(err)
	}
	lists.use([]accessList{{"feeds/b.netset", 5, time.Unix(1700000000, 5e8)}})
	want := `
# HELP smithproxy_exporter_access_list_entries Number of distinct networks and addresses on the list.
# TYPE smithproxy_exporter_access_list_entries gauge
smithproxy_exporter_access_list_entries{file="feeds/b.netset"} 5
# HELP smithproxy_exporter_access_list_modified_timestamp_seconds Modification time of the list in force as a Unix timestamp.
# TYPE smithproxy_exporter_access_list_modified_timestamp_seconds gauge
smithproxy_exporter_access_list_modified_timestamp_seconds{file="feeds/b.netset"} 1.7000000005e+09
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// TestRulesOfReloads has rules come and go whose series earned their places before, or are to give them back.
func TestRulesOfReloads(t *testing.T) {
	w := newWorld(t, 2)
	requests := func(want ...string) {
		t.Helper()
		for i, s := range want {
			rule, n, _ := strings.Cut(s, " ")
			want[i] = `{rule="` + rule + `",source="a",verdict="reject"} ` + n
		}
		w.shows("smithproxy_access_requests_total", want...)
	}
	use := func(rules ...string) {
		var answers []accessAnswer
		for _, rule := range rules {
			answers = append(answers, accessAnswer{"reject", rule})
		}
		w.sink.useAccessRules(accessRules{answers: answers})
	}
	decide := func(rule string) {
		w.sink.Take(track.Decided{D: &track.Decision{Source: "a", Verdict: event.Reject, Rule: rule}})
	}
	use("r1", "r2", "r3") // too many to begin
	decide("r1")
	requests("r1 1")
	use("r1", "r2")
	decide("r1")
	requests("r1 2", "r2 0")
	use("r3", "r4")
	requests("r1 2", "r2 0", "r3 0", "r4 0")
	w.wait(DefaultConfig().Expiry)
	decide("r4")
	requests("r3 0", "r4 1")
	use("r1")
	requests("r1 0", "r3 0", "r4 1")
}
