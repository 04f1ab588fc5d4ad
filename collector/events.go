package collector

import (
	"github.com/prometheus/client_golang/prometheus"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// events counts what was received, before any of it means anything.
type events struct {
	received, duplicate, late *prometheus.CounterVec
}

var actions = []event.Action{
	event.ActionPing, event.ActionNeighbor, event.ActionStart, event.ActionStop, event.ActionInfo,
	event.ActionAccess, event.ActionContent, event.ActionUnknown,
}

func newEvents() *events {
	return &events{
		received: counter("smithproxy_events_total",
			"Events that were accepted, repeated deliveries included.", "source", "action"),
		duplicate: counter("smithproxy_exporter_events_duplicate_total",
			"Events that said nothing new: deliveries that the proxy repeated.", "source", "action"),
		late: counter("smithproxy_exporter_events_late_total",
			"Events with something new about a connection whose trace had been sent already.", "source", "action"),
	}
}

func (m *events) vectors() []vector { return []vector{m.received, m.duplicate, m.late} }

func (m *events) take(f track.Fact) {
	switch f := f.(type) {
	case track.ProxyAppeared:
		source := label(f.Source)
		for _, action := range actions {
			m.received.WithLabelValues(source, string(action))
		}
		for _, action := range []event.Action{event.ActionStart, event.ActionStop, event.ActionInfo} {
			m.duplicate.WithLabelValues(source, string(action))
			m.late.WithLabelValues(source, string(action))
		}
		m.duplicate.WithLabelValues(source, string(event.ActionAccess))
	case track.Received:
		m.received.WithLabelValues(label(f.Source), string(f.Action)).Inc()
	case track.Duplicate:
		m.duplicate.WithLabelValues(label(f.Source), string(f.Action)).Inc()
	case track.Late:
		m.late.WithLabelValues(label(f.C.Source), string(f.Action)).Inc()
	}
}
