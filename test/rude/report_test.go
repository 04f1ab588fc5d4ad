//go:build rude

package rude

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// row is what was measured during one attack.
type row struct {
	attack
	duration          time.Duration // of the attack, as asked for
	took              time.Duration // until all rude clients had their answers
	cpu               time.Duration // of the exporter
	idle, peak, after sample
	recovered         time.Duration
	proxy             proxyResult
	client, rival     clientResult // at the exporter, and at the empty handler
	logged            int          // lines
	attempts          int
	failed            bool
}

// judge says what must hold whatever the attack.
func (r row) judge(t *testing.T, m metrics) {
	t.Helper()
	ours := r.proxy.Exporter
	if ours.Refused > 0 {
		t.Errorf("%d of %d events of the proxy were refused; the first problem: %s", ours.Refused, sum(ours.Sent), ours.Cause)
	}
	if len(ours.during(phaseAttack)) == 0 {
		t.Error("no access-request was answered")
	}
	if more := r.peak.memory - r.idle.memory; more > memoryBudget {
		t.Errorf("resident memory grew by %d MiB, want at most %d", more>>20, memoryBudget>>20)
	}
	if most := logBudget + logRate*int(r.took.Seconds()); r.logged > most {
		t.Errorf("%d lines were logged, want at most %d", r.logged, most)
	}
	r.judgeCounters(t, m)
}

// slow says what the proxy did not get in time, "" if it got everything.
func (r row) slow() string {
	if p := r.proxy.Exporter; p.Lost > 0 {
		return fmt.Sprintf("%d of %d events of the proxy were not answered in %v, and %d by the empty handler; the first problem: %s",
			p.Lost, sum(p.Sent), proxyTimeout, r.proxy.Empty.Lost, p.Cause)
	}
	q := .5
	if r.duration >= judgedFrom {
		q = .99
	}
	ours, rival := r.proxy.Exporter.during(phaseAttack).quantile(q), r.proxy.Empty.during(phaseAttack).quantile(q)
	more := ours - rival
	if more <= max(latencyBudget, rival/measurementError) {
		return ""
	}
	return fmt.Sprintf("%.0f %% of the access-requests took up to %v, %v more than those of the empty handler", 100*q, round(ours), round(more))
}

// judgeCounters holds the counters against what was sent: everything that was acknowledged is counted, once.
func (r row) judgeCounters(t *testing.T, m metrics) {
	t.Helper()
	p, c := r.proxy.Exporter, r.client
	for _, action := range slices.Sorted(maps.Keys(p.Sent)) {
		m.between(t, p.Acknowledged[action], p.Sent[action], "smithproxy_events_total", "source="+proxySource, "action="+action)
	}
	m.between(t, p.Acknowledged["connection-start"], p.Sent["connection-start"], "smithproxy_connections_started_total", "source="+proxySource)
	m.between(t, p.Acknowledged["connection-stop"], p.Sent["connection-stop"], "smithproxy_connections_closed_total", "source="+proxySource, "reason=stop")
	m.between(t, p.Acknowledged["connection-stop"]*(4096+206), p.Sent["connection-stop"]*(4096+206), "smithproxy_connection_bytes_total", "source="+proxySource)
	if n := m.value("smithproxy_exporter_events_duplicate_total", "source="+proxySource); n != 0 {
		t.Errorf("%v events of the proxy were taken for repeated ones", n)
	}
	for _, action := range slices.Sorted(maps.Keys(c.Sent)) {
		if action == "" {
			continue
		}
		counted := m.value("smithproxy_events_total", "action="+action) + m.value("smithproxy_exporter_events_untracked_total", "action="+action)
		if action == actionAccess {
			counted += m.value("smithproxy_exporter_access_requests_defaulted_total")
		}
		acknowledged, sent := p.Acknowledged[action]+c.Acknowledged[action], p.Sent[action]+c.Sent[action]
		if counted < float64(acknowledged) && !r.forgets || counted > float64(sent) {
			t.Errorf("%v %s events were counted, of %d that were sent and %d acknowledged", counted, action, sent, acknowledged)
		}
	}
}

func sum(counts map[string]int) (total int) {
	for _, n := range counts {
		total += n
	}
	return total
}

func round(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}

type report []row

// publish logs the table, and writes it to a file if one was asked for.
func (rs report) publish(t *testing.T) {
	table := rs.String()
	t.Logf("%d attacks of %v\n%s", len(rs), *attackTime, table)
	if *reportPath != "" {
		if err := os.WriteFile(*reportPath, []byte(table), 0o644); err != nil {
			t.Error(err)
		}
	}
}

func (rs report) String() string {
	var b strings.Builder
	b.WriteString("| attack | proxy's events lost | access-requests p50 / p99 / max | empty handler p50 / p99 / max | CPU | attempts | MiB idle / peak / after | files idle / peak / after | recovered in | log lines | rude client | |\n")
	b.WriteString("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range rs {
		ours, rival := r.proxy.Exporter, r.proxy.Empty
		mark := "passed"
		if r.failed {
			mark = "failed"
		}
		fmt.Fprintf(&b, "| %s | %d of %d | %s | %s | %.2f | %d | %d / %d / %d | %d / %d / %d | %v | %d | %s | %s |\n",
			r.name, ours.Lost+ours.Refused, sum(ours.Sent), ours.during(phaseAttack), rival.during(phaseAttack), r.cpu.Seconds()/r.took.Seconds(), r.attempts,
			r.idle.memory>>20, r.peak.memory>>20, r.after.memory>>20, r.idle.files, r.peak.files, r.after.files,
			round(r.recovered), r.logged, r.client.summary(), mark)
	}
	b.WriteString("\n")
	b.WriteString(rs.noise())
	return b.String()
}

func (t times) String() string {
	return fmt.Sprintf("%v / %v / %v", round(t.quantile(.5)), round(t.quantile(.99)), round(t.quantile(1)))
}

// noise is what the machine does to requests when nobody attacks: how far the p99 of the two are apart then, and how
// far the empty handler's p99 of the attacks is spread.
func (rs report) noise() string {
	var ours, rival times
	for _, r := range rs {
		ours = append(ours, r.proxy.Exporter.Access[phaseQuiet]...)
		rival = append(rival, r.proxy.Empty.Access[phaseQuiet]...)
	}
	slices.Sort(ours)
	slices.Sort(rival)
	return fmt.Sprintf("Before the attacks: access-requests %v, empty handler %v (%d each).\n", ours, rival, len(ours))
}

// summary is what the client counted.
func (c clientResult) summary() string {
	var parts []string
	if n := sum(c.Sent); n > 0 {
		parts = append(parts, fmt.Sprintf("%d sent", n))
	}
	for _, what := range slices.Sorted(maps.Keys(c.Counts)) {
		if what == "connected" && sum(c.Sent) > 0 {
			continue
		}
		parts = append(parts, fmt.Sprintf("%s %d", what, c.Counts[what]))
	}
	return strings.Join(parts, ", ")
}
