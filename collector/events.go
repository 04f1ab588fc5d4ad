package collector

import (
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// events counts received events.
type events struct{ received, duplicate, late *metric }

var actions = []event.Action{
	event.ActionPing, event.ActionNeighbor, event.ActionStart, event.ActionStop, event.ActionInfo,
	event.ActionAccess, event.ActionContent, event.ActionUnknown,
}

func newEvents(d *definitions) *events {
	return &events{
		received: d.counter("smithproxy_events_total", "events",
			"Total number of accepted events, repeated deliveries included.", "source", "action"),
		duplicate: d.counter("smithproxy_exporter_events_duplicate_total", "events",
			"Total number of repeated deliveries of events.", "source", "action"),
		late: d.counter("smithproxy_exporter_events_late_total", "events",
			"Total number of events with new data about a connection whose trace was complete.", "source", "action"),
	}
}

type eventSeries struct {
	perProxy
	received, duplicate, late map[event.Action]*series
}

func (f *events) open(p *proxy, now time.Time) familySeries {
	m := &eventSeries{perProxy: newPerProxy(p)}
	of := func(each *metric, actions ...event.Action) map[event.Action]*series {
		byAction := map[event.Action]*series{}
		for _, action := range actions {
			byAction[action] = m.series(each, now, pair("action", string(action)))
		}
		return byAction
	}
	m.received = of(f.received, actions...)
	m.duplicate = of(f.duplicate, event.ActionStart, event.ActionStop, event.ActionInfo, event.ActionAccess)
	m.late = of(f.late, event.ActionStart, event.ActionStop, event.ActionInfo)
	return m
}

func (m *eventSeries) take(f track.Fact, _ time.Time) {
	switch f := f.(type) {
	case track.Received:
		m.received[f.Action].add(1)
		if f.Outcome == track.Repeated {
			m.duplicate[f.Action].add(1)
		}
	case track.Late:
		m.late[f.Action].add(1)
	}
}
