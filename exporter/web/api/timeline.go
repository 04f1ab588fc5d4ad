package api

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/history"
	"smithproxy_exporter/exporter/track"
)

// timelineOf returns the events of a connection, and of what came late, in the order of time.
func timelineOf(r *history.Record, late []history.Record) []TimelineEvent {
	var all []TimelineEvent
	add := func(at time.Time, kind string, count int, text string) {
		if at.IsZero() {
			return
		}
		if count == 1 {
			count = 0
		}
		all = append(all, TimelineEvent{At: at, Offset: at.Sub(r.Start).Seconds(), Kind: kind, Text: text, Count: count})
	}
	t := &r.Timeline
	add(t.Requested, "request", t.Requests, "The proxy asked whether the connection may pass.")
	if !t.Answered.IsZero() {
		add(t.Answered, "decision", 0, decisionText(r, t.Answered.Sub(t.Requested)))
	}
	add(t.Started, "start", 0, "The proxy reported the start.")
	if t.Requested.IsZero() && t.Started.IsZero() {
		add(t.First, "listed", 0, "The exporter heard of the connection, whose start it did not receive.")
	}
	add(t.Listed, "alive", 0, "The last list of open connections with this one.")
	add(t.Stopped, "stop", 0, "The proxy reported the stop.")
	add(t.Informed, "info", 0, infoText(r))
	if repeats := t.StartRepeats + t.StopRepeats + t.InfoRepeats; repeats > 0 {
		add(t.RepeatedAt, "repeats", repeats, fmt.Sprintf("Events that were received again: start %d, stop %d, info %d.",
			t.StartRepeats, t.StopRepeats, t.InfoRepeats))
	}
	if r.EndEstimated {
		add(r.End, "end", 0, endTexts[r.Reason])
	}
	for i := range late {
		l := &late[i]
		add(l.LateAt, "late", 0, fmt.Sprintf("%s came after the connection was finished.", l.LateAction))
	}
	slices.SortStableFunc(all, func(a, b TimelineEvent) int { return cmp.Compare(a.At.UnixNano(), b.At.UnixNano()) })
	return all
}

// endTexts say why the end is estimated.
var endTexts = map[track.Reason]string{
	track.ReasonLost:     "The last sign of life: no stop was received.",
	track.ReasonRestart:  "The last sign of life: the proxy restarted.",
	track.ReasonEvicted:  "The last sign of life: there were too many connections to go on.",
	track.ReasonRejected: "The proxy reported that it rejected the connection.",
}

func decisionText(r *history.Record, took time.Duration) string {
	text := fmt.Sprintf("The exporter answered %s by rule %q after %v.", r.Verdict, r.Rule, took.Round(time.Microsecond))
	if r.DryRunRule != "" {
		text += fmt.Sprintf(" The dry-run rule %q would have rejected.", r.DryRunRule)
	}
	return text
}

func infoText(r *history.Record) string {
	var parts []string
	if r.EntropyUp != nil || r.EntropyDown != nil || r.Skew != nil {
		parts = append(parts, "statistics")
	}
	if r.Sinkhole != nil {
		parts = append(parts, "sinkhole")
	}
	if r.Verdict != "" {
		parts = append(parts, "verdict")
	}
	if len(parts) == 0 {
		return "The proxy sent connection-info."
	}
	return fmt.Sprintf("The proxy sent %s: %s.", event.ActionInfo, strings.Join(parts, ", "))
}
