package collector

import (
	"strconv"
	"time"

	"smithproxy_exporter/exporter/geo"
	"smithproxy_exporter/exporter/track"
)

// places counts stopped connections and their bytes by where the server is.
type places struct {
	traffic
	bounds  *bounds
	limit   *limit
	locator geo.Locator // nil if there is none, and no series
}

func newPlaces(d *definitions, b *bounds) *places {
	return &places{bounds: b, traffic: traffic{
		connections: d.counter("smithproxy_geo_connections_total", "connections",
			"Total number of stopped connections, by country and autonomous system of the server.", "source", "country", "as"),
		bytes: d.counter("smithproxy_geo_bytes_total", "bytes",
			"Total number of payload bytes of stopped connections, by country and autonomous system of the server.", "source", "country", "as", "direction"),
	}}
}

// UseLocator makes the metrics by place. It must be called before the first fact.
func (s *Sink) UseLocator(l geo.Locator) {
	s.places.locator = l
	s.places.limit = s.bounds.limit(s.places.connections, s.bounds.config.MaxValues)
}

// place is a country and an autonomous system; "" if they are unknown.
type place struct{ country, as string }

func placeOf(p geo.Place) place {
	as := ""
	if p.ASN != 0 {
		as = label("AS" + strconv.FormatUint(uint64(p.ASN), 10) + " " + p.Organization)
	}
	return place{label(p.Country), as}
}

type placeSeries struct {
	perProxy
	family *places
	places *limitedLabel[place] // nil without a locator
}

func (f *places) open(p *proxy, now time.Time) familySeries {
	m := &placeSeries{perProxy: newPerProxy(p), family: f}
	if f.locator == nil {
		return m
	}
	m.places = limitLabel(&m.perProxy, f.bounds, f.limit, place{other, other}, now, func(p place, now time.Time) []*series {
		return f.series(now, m.source, pair("country", p.country), pair("as", p.as))
	})
	m.places.pin(m.places.overflow, now)
	return m
}

func (m *placeSeries) take(f track.Fact, now time.Time) {
	stopped, ok := f.(track.Stopped)
	if !ok || m.places == nil {
		return
	}
	found := geo.Place{}
	if addr, ok := stopped.C.Session().Server.Addr(); ok {
		found = m.family.locator.Place(addr)
	}
	countStop(m.places.seriesFor(placeOf(found), now), stopped.C.Stop)
}
