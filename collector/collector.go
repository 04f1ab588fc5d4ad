// Package collector turns facts into Prometheus metrics. A file has a family: metrics that change with the same
// facts. Users build dashboards and alerts on names and labels.
//
// The exposition stays valid, bounded and exact in its sums whatever comes from the network: see limitedLabel for
// labels whose values come from there, and label and serverName for the values.
package collector

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"smithproxy_exporter/exporter/track"
)

// Sink turns facts into metrics, and is a prometheus.Gatherer of them. Take is called from one goroutine,
// Gather and UseAccessRules from any.
//
// Take waits for at most one step of a sweep, or a proxy's share of new access rules: some 10 µs with the
// default limits. Scrapes read the series without a lock. So each series of a scrape is consistent in
// itself, the count, sum and buckets of a histogram included, and no increment is lost or counted twice;
// but two series of a scrape may be read some milliseconds apart, with facts between them.
type Sink struct {
	now    func() time.Time
	expiry time.Duration

	// persistent series stay for as long as a proxy is known, expiring ones until it has sent nothing for
	// the expiry.
	persistent, expiring []family
	bounds               *bounds
	accessRequests       *accessRequests
	forgotten            *forgotten
	places               *places

	// scraping and changing are locked before mu, and for longer.
	scraping sync.Mutex // one scrape at a time
	changing sync.Mutex // one change of access rules at a time

	mu      sync.Mutex
	metrics []*metric // by name
	proxies map[string]*proxy
	// byLabel has the same proxies by their label value, which sources that are not valid labels can share.
	byLabel map[string]*proxy
	sweptAt time.Time
	sweep   sweep
}

// family is a group of metrics that change with the same facts.
type family interface {
	// open makes the series of a proxy. Those whose labels are known start at 0.
	open(*proxy, time.Time) familySeries
}

// familySeries are the series of one proxy in a family.
type familySeries interface {
	take(track.Fact, time.Time)
	// sweep drops some of the series that are over, and reports whether there may be more.
	sweep(time.Time) (more bool)
	drop()
}

// proxy has the series of one source.
type proxy struct {
	label                string
	names                int // sources that have this label
	movedAt              time.Time
	persistent, expiring []familySeries
}

// New returns a sink without any proxy. now is the clock of grace periods, expiry and the series' creation.
func New(c Config, now func() time.Time) *Sink {
	d := &definitions{}
	s := &Sink{now: now, expiry: c.Expiry, proxies: map[string]*proxy{}, byLabel: map[string]*proxy{}, sweptAt: now()}
	s.bounds, s.forgotten = newBounds(d, c, now), newForgotten(d)
	s.persistent = []family{newLiveness(d), newGauges(d)}
	s.accessRequests = newAccessRequests(d, s.bounds)
	s.places = newPlaces(d, s.bounds)
	clientNetworks := NewNetworks(c.Networks)
	s.expiring = []family{
		newEvents(d),
		newNeighbors(d, s.bounds),
		newConnections(d, s.bounds),
		newApplications(d, s.bounds),
		newServerNames(d, s.bounds, c.SNIGrouping),
		newSignatures(d, s.bounds),
		newEntropy(d, c.Expiry),
		newSinkhole(d),
		s.accessRequests,
		newContent(d),
		newServerAddresses(d, s.bounds),
		newClients(d, s.bounds, clientNetworks),
		newRejects(d, s.bounds, clientNetworks),
		s.places,
	}
	s.metrics = d.metrics
	slices.SortFunc(s.metrics, func(a, b *metric) int { return strings.Compare(a.name, b.name) })
	return s
}

// Take updates the metrics that a fact is about.
func (s *Sink) Take(f track.Fact) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.bounds.take(f)
	source, spoke := sourceOf(f)
	if source == "" {
		return
	}
	p, ok := s.proxies[source]
	if gone, is := f.(track.ProxyForgotten); is {
		if ok {
			s.forget(source, p)
		}
		if gone.Asked {
			s.forgotten.add(label(source), now)
		}
		return
	}
	if !ok {
		p = s.appear(source, now)
	}
	if spoke {
		p.movedAt = now
		if p.expiring == nil {
			p.expiring = open(s.expiring, p, now)
		}
	}
	for _, m := range p.persistent {
		m.take(f, now)
	}
	for _, m := range p.expiring {
		m.take(f, now)
	}
	if now.Sub(s.sweptAt) >= sweepEvery && !s.sweep.running() {
		s.beginSweep(now)
	}
	s.sweepStep(now)
}

func (s *Sink) appear(source string, now time.Time) *proxy {
	name := label(source)
	p, ok := s.byLabel[name]
	if !ok {
		p = &proxy{label: name, movedAt: now}
		p.persistent = open(s.persistent, p, now)
		p.expiring = open(s.expiring, p, now)
		s.byLabel[name] = p
		s.forgotten.remove(name)
	}
	p.names++
	s.proxies[source] = p
	return p
}

func open(families []family, p *proxy, now time.Time) []familySeries {
	all := make([]familySeries, len(families))
	for i, f := range families {
		all[i] = f.open(p, now)
	}
	return all
}

func (s *Sink) forget(source string, p *proxy) {
	delete(s.proxies, source)
	if p.names--; p.names > 0 {
		return
	}
	delete(s.byLabel, p.label)
	drop(p.persistent)
	drop(p.expiring)
}

func drop(all []familySeries) {
	for _, m := range all {
		m.drop()
	}
}

// Gather returns the metrics in the order of their names, each as a copy. It does not fail.
func (s *Sink) Gather() ([]*dto.MetricFamily, error) {
	s.scraping.Lock()
	defer s.scraping.Unlock()
	s.sweepAll()
	s.mu.Lock()
	for _, m := range s.metrics {
		m.take()
	}
	s.mu.Unlock()
	families := make([]*dto.MetricFamily, 0, len(s.metrics))
	for _, m := range s.metrics {
		m.merge()
		if f := m.family(); f != nil {
			families = append(families, f)
		}
	}
	return families, nil
}

// Gatherers joins gatherers of different metrics. Unlike prometheus.Gatherers it does not check every series at
// each scrape; the tests do.
type Gatherers []prometheus.Gatherer

// Gather returns the metrics of all, by name.
func (g Gatherers) Gather() ([]*dto.MetricFamily, error) {
	var all []*dto.MetricFamily
	var errs prometheus.MultiError
	for _, each := range g {
		families, err := each.Gather()
		errs.Append(err)
		all = append(all, families...)
	}
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return all, errs.MaybeUnwrap()
}

var (
	_ track.Sink          = (*Sink)(nil)
	_ prometheus.Gatherer = (*Sink)(nil)
)
