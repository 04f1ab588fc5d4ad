// Package collector turns facts into Prometheus metrics: a file a family, or a few that belong
// together. Names and labels are what users build dashboards on; they change only with the contract.
//
// Whatever the network says, the exposition stays valid, bounded and right in its sums: see capped for
// the labels whose values the network chooses, label and serverName for the values.
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

// Options bound the exposition. The zero value of a time or a number is not usable; start from
// DefaultOptions.
type Options struct {
	// MaxValues is how many values of one label have series of their own, for each proxy. For the grace
	// there can be as many that lost theirs.
	MaxValues int
	// MaxApps is the same for L7 applications, each of which has a histogram.
	MaxApps int
	// Grace is how long the series of a value that lost its place stay as they are: longer than any
	// scrape interval.
	Grace time.Duration
	// Expiry is how long series stay that nothing comes for.
	Expiry time.Duration
	// RegisteredDomain has server names counted by their registered domain, example.co.uk for
	// www.example.co.uk.
	RegisteredDomain bool
	// AccessRules are the verdicts and rules that can decide, whose series are there from the start.
	AccessRules AccessRules
	Now         func() time.Time
}

// DefaultOptions are what the exporter runs with unless it is told otherwise.
func DefaultOptions() Options {
	return Options{
		MaxValues: 100, MaxApps: 20, Grace: 5 * time.Minute, Expiry: 15 * time.Minute, Now: time.Now,
	}
}

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

	// lasting series stay for as long as a proxy is remembered, passing ones until it has said nothing
	// for the expiry.
	lasting, passing []family
	bounds           *bounds
	access           *access

	// scraping and changing are locked before mu, and for longer.
	scraping sync.Mutex // one scrape at a time
	changing sync.Mutex // one change of access rules at a time

	mu      sync.Mutex
	metrics []*metric // by name
	proxies map[string]*proxy
	// byLabel has the same proxies by label; sources that differ in what no label can hold share one.
	byLabel map[string]*proxy
	sweptAt time.Time
	sweep   sweep
}

// family is a group of metrics that the same facts move.
type family interface {
	// of makes what a proxy has of the family, with the series whose labels are known at 0.
	of(*proxy, time.Time) member
}

// member is what one proxy has of a family.
type member interface {
	take(track.Fact, time.Time)
	// sweep drops some of the series that are over, and reports whether there may be more.
	sweep(time.Time) (more bool)
	drop()
}

// proxy has the series of one source.
type proxy struct {
	label            string
	names            int // sources that have this label
	movedAt          time.Time
	lasting, passing []member
}

// New returns a sink without any proxy.
func New(o Options) *Sink {
	d := &definitions{}
	s := &Sink{now: o.Now, expiry: o.Expiry, proxies: map[string]*proxy{}, byLabel: map[string]*proxy{}, sweptAt: o.Now()}
	s.bounds = newBounds(d, o)
	s.lasting = []family{newLiveness(d), newStanding(d)}
	s.access = newAccess(d, s.bounds, o.AccessRules)
	s.passing = []family{
		newEvents(d),
		newNeighbors(d, s.bounds),
		newConnections(d, s.bounds),
		newApplications(d, s.bounds),
		newServerNames(d, s.bounds, o.RegisteredDomain),
		newSignatures(d, s.bounds),
		newEntropy(d, o.Expiry),
		newSinkhole(d),
		s.access,
		newContent(d),
	}
	s.metrics = d.metrics
	slices.SortFunc(s.metrics, func(a, b *metric) int { return strings.Compare(a.name, b.name) })
	return s
}

// Take moves the metrics that a fact is about.
func (s *Sink) Take(f track.Fact) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.bounds.take(f)
	source, spoke := subject(f)
	if source == "" {
		return
	}
	p, ok := s.proxies[source]
	if _, gone := f.(track.ProxyForgotten); gone {
		if ok {
			s.forget(source, p)
		}
		return
	}
	if !ok {
		p = s.appear(source, now)
	}
	if spoke {
		p.movedAt = now
		if p.passing == nil {
			p.passing = open(s.passing, p, now)
		}
	}
	for _, m := range p.lasting {
		m.take(f, now)
	}
	for _, m := range p.passing {
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
		p.lasting = open(s.lasting, p, now)
		p.passing = open(s.passing, p, now)
		s.byLabel[name] = p
	}
	p.names++
	s.proxies[source] = p
	return p
}

func open(families []family, p *proxy, now time.Time) []member {
	members := make([]member, len(families))
	for i, f := range families {
		members[i] = f.of(p, now)
	}
	return members
}

func (s *Sink) forget(source string, p *proxy) {
	delete(s.proxies, source)
	if p.names--; p.names > 0 {
		return
	}
	delete(s.byLabel, p.label)
	drop(p.lasting)
	drop(p.passing)
}

func drop(members []member) {
	for _, m := range members {
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

// Gatherers are gatherers of different metrics. prometheus.Gatherers would look whether they are
// different, series by series, at each scrape; the tests do.
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
