package collector

import (
	"time"

	"smithproxy_exporter/exporter/track"
)

// applications has the metrics by L7 application.
type applications struct {
	duration, requests *metric
	bounds             *bounds
	limit              *limit
}

// durationBuckets, in seconds, reach from a refused connection (around 1 ms) over requests and idle
// time-outs (DNS 20 s, UDP 1 h) to sessions of a day.
var durationBuckets = []float64{
	.001, .005, .025, .1, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600,
}

func newApplications(d *definitions, b *bounds) *applications {
	f := &applications{
		duration: d.histogram("smithproxy_connection_duration_seconds", "seconds",
			"Duration of connections whose start and end were received in seconds.", durationBuckets, "source", "app"),
		requests: d.counter("smithproxy_l7_requests_total", "requests",
			"Total number of requests listed by the L7 engine at the stop of connections, which may omit some.", "source", "app"),
		bounds: b,
	}
	f.limit = b.limit(f.duration, b.config.MaxApps)
	return f
}

// Indexes of the series of an application. Without an application there are no requests.
const (
	appDuration = iota
	appRequests
)

type applicationSeries struct {
	perProxy
	apps *limitedLabel[string]
}

func (f *applications) open(p *proxy, now time.Time) familySeries {
	m := &applicationSeries{perProxy: newPerProxy(p)}
	m.apps = limitLabel(&m.perProxy, f.bounds, f.limit, other, now, func(app string, now time.Time) []*series {
		name := pair("app", app)
		list := []*series{f.duration.with(now, m.source, name)}
		if app != "" {
			list = append(list, f.requests.with(now, m.source, name))
		}
		return list
	})
	m.apps.pin("", now)
	m.apps.pin(other, now)
	return m
}

func (m *applicationSeries) take(f track.Fact, now time.Time) {
	switch f := f.(type) {
	case track.Stopped:
		if app := label(f.C.App()); app != "" && f.C.DetailsListed > 0 {
			m.apps.seriesFor(app, now)[appRequests].add(float64(f.C.DetailsListed))
		}
	case track.Started:
		if f.C.Reason() != track.ReasonNone {
			m.lasted(f.C, now)
		}
	case track.Ended:
		if f.C.Started() {
			m.lasted(f.C, now)
		}
	case track.Finished:
		if d, known := f.C.Duration(); known && !f.C.Unsampled {
			if list := m.apps.shown(label(f.C.App())); list != nil {
				list[appDuration].histogram.offer(d.Seconds(), f.C, now)
			}
		}
	}
}

// lasted observes the duration, once both start and end are known.
func (m *applicationSeries) lasted(c *track.Connection, now time.Time) {
	if d, known := c.Duration(); known {
		m.apps.seriesFor(label(c.App()), now)[appDuration].histogram.Observe(d.Seconds())
	}
}
