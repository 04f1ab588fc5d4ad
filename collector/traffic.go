package collector

import (
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"

	"smithproxy_exporter/exporter/event"
)

// traffic counts stopped connections and their bytes by the same labels.
type traffic struct{ connections, bytes *metric }

// Indexes of the series that traffic has for one set of labels.
const (
	trafficConnections = iota
	trafficUp
	trafficDown
)

// series begins the series with the labels.
func (t traffic) series(now time.Time, labels ...*dto.LabelPair) []*series {
	// A series keeps its labels in an order of its own.
	return []*series{
		trafficConnections: t.connections.with(now, slices.Clone(labels)...),
		trafficUp:          t.bytes.with(now, append(slices.Clone(labels), upLabel)...),
		trafficDown:        t.bytes.with(now, append(slices.Clone(labels), downLabel)...),
	}
}

// countStop counts a stopped connection in series of a traffic.
func countStop(list []*series, stop *event.Stop) {
	list[trafficConnections].add(1)
	list[trafficUp].add(float64(stop.BytesUp))
	list[trafficDown].add(float64(stop.BytesDown))
}
