// Package fleet simulates smithproxies that send events to a webhook receiver, as one of the generations of smithproxy
// behaves on the wire, and reports exactly what it sent and what was acknowledged.
package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Fleet is a number of simulated proxies that run once.
type Fleet struct {
	cfg     Config
	live    counters
	proxies []*proxy
}

// counters are the counters that Live reads.
type counters struct {
	started, finished, events, deliveries, acknowledged atomic.Int64
	retries, rejects, failed                            atomic.Int64
}

// Live is the progress of a running fleet.
type Live struct {
	Started      int64 // connections
	Finished     int64 // connections that ended
	Events       int64 // sent or given up, repeats excluded
	Deliveries   int64 // answered requests
	Acknowledged int64 // deliveries with a 2xx
	Retries      int64 // tries after the first
	Rejects      int64 // reject verdicts
	Failed       int64 // events without a 2xx
}

// Open returns the number of open connections.
func (l Live) Open() int64 { return l.Started - l.Finished }

// New returns a Fleet.
func New(cfg Config) (*Fleet, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("fleet configuration: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	x, err := newExchanger(cfg)
	if err != nil {
		return nil, err
	}
	f := &Fleet{cfg: cfg}
	// Built once, when it is needed, because it is large.
	body := sync.OnceValue(func() []byte { return tooLarge(cfg.NamePrefix+"1", cfg.Faults.GarbageSize) })
	for i := range cfg.Proxies {
		f.proxies = append(f.proxies, newProxy(cfg, i, x, &f.live, body))
	}
	return f, nil
}

// Run creates a fleet and runs it.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	f, err := New(cfg)
	if err != nil {
		return nil, err
	}
	return f.Run(ctx), nil
}

// Run runs the fleet until ctx is done, Config.Duration is over or Config.Connections have finished, drains it, and
// returns the report. It must be called once.
func (f *Fleet) Run(ctx context.Context) *Report {
	sendContext := context.WithoutCancel(ctx)
	if f.cfg.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.cfg.Duration)
		defer cancel()
	}
	started := time.Now()
	var wg sync.WaitGroup
	for _, p := range f.proxies {
		wg.Go(func() { p.run(ctx, sendContext) })
	}
	wg.Wait()
	return f.report(started, time.Now())
}

// Live returns the progress of the fleet. It is safe for concurrent use.
func (f *Fleet) Live() Live {
	c := &f.live
	return Live{
		Started: c.started.Load(), Finished: c.finished.Load(), Events: c.events.Load(),
		Deliveries: c.deliveries.Load(), Acknowledged: c.acknowledged.Load(),
		Retries: c.retries.Load(), Rejects: c.rejects.Load(), Failed: c.failed.Load(),
	}
}

// report returns the report of all proxies.
func (f *Fleet) report(started, ended time.Time) *Report {
	r := &Report{
		Seed: f.cfg.Seed, Started: started, Ended: ended,
		Total:   newTotals(),
		Sources: make(map[string]*SourceReport, len(f.proxies)),
		Garbage: make(map[string]*Garbage),
	}
	for _, p := range f.proxies {
		r.Sources[p.source] = &SourceReport{
			Generation: p.cfg.Generation, Form: p.form, Instances: p.instances, Neighbors: p.neighbors.all(), Totals: p.ledger.totals,
		}
		r.Total.add(&p.ledger.totals)
		for kind, g := range p.ledger.garbage {
			sum := r.Garbage[kind]
			if sum == nil {
				sum = &Garbage{Status: make(map[int]int)}
				r.Garbage[kind] = sum
			}
			sum.Sent += g.Sent
			sum.Failed += g.Failed
			addAll(sum.Status, g.Status)
		}
		r.Connections = append(r.Connections, p.archive.records...)
	}
	return r
}
