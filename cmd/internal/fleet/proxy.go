package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"sync/atomic"
	"time"
)

// proxy simulates one smithproxy. One goroutine, the scheduler, handles timers in order. It sends access-requests itself,
// so that each blocks the whole proxy as in smithproxy. The pool sends all other events.
type proxy struct {
	cfg      Config
	source   string
	form     Form
	path     string // of the webhook, with the query
	behavior *behavior
	// exchange sends a request to the receiver.
	exchange    func(context.Context, request) (answer, error)
	traffic     *traffic
	daemon      *rand.Rand // boot ids, object ids and times of restarts
	ids         objectIDs
	refreshes   gate
	maintenance *rand.Rand // faults of pings and neighbor messages
	logger      *slog.Logger
	live        *counters
	ledger      *ledger
	pool        *pool
	presence    presence
	neighbors   neighbors
	archive     archive
	tooLarge    func() []byte // one body for all proxies

	schedule    schedule
	upcoming    *script // the next connection
	limit       int     // connections to open, 0 is no limit
	opened      int
	instance    atomic.Pointer[string] // read by the threads too
	instances   []string
	suspended   time.Time
	draining    bool
	drainEnd    time.Time
	shrink      float64         // factor of delays while draining
	sendContext context.Context // of requests
	abandon     context.CancelFunc
	hung        *time.Timer // calls abandon if draining takes too long
}

func newProxy(cfg Config, index int, x *exchanger, live *counters, tooLarge func() []byte) *proxy {
	b := behaviors[cfg.Generation]
	p := &proxy{
		cfg:      cfg,
		source:   fmt.Sprintf("%s%d", cfg.NamePrefix, index+1),
		form:     cfg.form(index),
		path:     requestPath(x.url),
		behavior: &b,
		exchange: x.do,
		traffic:  newTraffic(cfg, index),
		// Another stream, so that when a proxy restarts does not change its scripts.
		daemon:      rand.New(rand.NewPCG(^cfg.Seed, uint64(index))),
		maintenance: newMaintenance(cfg.Seed, index),
		logger:      cfg.Logger,
		live:        live,
		tooLarge:    tooLarge,
		ledger:      newLedger(),
		limit:       cfg.Connections / cfg.Proxies,
		shrink:      1,
	}
	if index < cfg.Connections%cfg.Proxies {
		p.limit++
	}
	p.ids = objectIDs{kind: b.idKind, rand: p.daemon, reuseShare: cfg.AddressReuseShare}
	p.neighbors.known = make(map[string]struct{})
	p.neighbors.active = make(map[string]struct{})
	return p
}

// requestPath returns the path in the request line.
func requestPath(u *url.URL) string {
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	if u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	return path
}

// finished reports whether all connections have been opened.
func (p *proxy) finished() bool {
	return p.cfg.Connections > 0 && p.opened >= p.limit
}

// run runs the proxy until ctx is done or all connections have been opened, and then drains it. Requests end with
// sendContext.
func (p *proxy) run(ctx, sendContext context.Context) {
	p.sendContext, p.abandon = context.WithCancel(sendContext)
	defer p.abandon()
	queue := 1024
	if p.cfg.MaxSpeed {
		queue = 2 * p.cfg.Threads // the threads set the pace
	}
	p.pool = newPool(p.cfg.Threads, queue, p.behavior.queueLimit, p.send)
	now := time.Now()
	p.boot(now)
	p.upcoming = p.traffic.next()
	p.schedule.add(timer{at: now.Add(p.gap()), task: taskArrival})
	if p.cfg.NeighborInterval > 0 {
		p.schedule.add(timer{at: now.Add(p.cfg.NeighborInterval), task: taskNeighbors})
	}
	if p.cfg.RestartEvery > 0 {
		p.schedule.add(timer{at: now.Add(p.nextRestart()), task: taskRestart})
	}
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		if !p.draining && (ctx.Err() != nil || p.finished()) {
			p.drain(time.Now())
		}
		if p.draining && p.schedule.connTimers == 0 {
			break
		}
		at, _ := p.schedule.next() // there is always a ping
		if wait := time.Until(at); wait > 0 {
			wake.Reset(wait)
			done := ctx.Done()
			if p.draining {
				done = nil
			}
			select {
			case <-wake.C:
			case <-done:
			}
			continue
		}
		p.fire(p.schedule.take(), at)
	}
	p.pool.idle()
	p.hung.Stop()
	p.lastPings()
	p.pool.close()
	p.archive.closeAll(p)
}

// gap returns the time until the next arrival.
func (p *proxy) gap() time.Duration {
	if p.cfg.MaxSpeed {
		return 0
	}
	return p.upcoming.gap
}

// nextRestart draws the time until the next restart.
func (p *proxy) nextRestart() time.Duration {
	return time.Duration((0.5 + p.daemon.Float64()) * float64(p.cfg.RestartEvery))
}

// fire handles a timer that was due at the given time.
func (p *proxy) fire(a timer, due time.Time) {
	switch a.task {
	case taskArrival:
		if due.Before(p.suspended) {
			p.schedule.add(timer{at: p.suspended, task: taskArrival})
			return
		}
		p.arrive(due)
	case taskPing:
		p.pushPing()
		p.schedule.add(timer{at: due.Add(p.cfg.PingInterval), task: taskPing})
	case taskNeighbors:
		p.pushNeighbors()
		p.schedule.add(timer{at: due.Add(p.cfg.NeighborInterval), task: taskNeighbors})
	case taskRestart:
		p.restart(time.Now())
		booted := time.Now()
		if p.suspended.After(booted) {
			booted = p.suspended // no receiver could see a process that ends before it begins
		}
		p.schedule.add(timer{at: booted.Add(p.nextRestart()), task: taskRestart})
	default:
		p.perform(a.conn, a.op)
		p.release(a.conn)
	}
}

// arrive opens the next connection and starts the timer of the one after it.
func (p *proxy) arrive(due time.Time) {
	s := p.upcoming
	if s.restart && p.opened > 0 {
		p.restart(time.Now())
		s.restart = false
		if p.suspended.After(time.Now()) {
			p.schedule.add(timer{at: p.suspended, task: taskArrival})
			return
		}
	}
	if s.garbage != garbageNone {
		p.enqueue(event{garbage: s.garbage, timeout: p.cfg.Timeout})
	}
	p.opened++
	p.upcoming = p.traffic.next()
	if p.cfg.MaxSpeed {
		due = time.Now() // arrivals would delay all other timers otherwise
	}
	if !p.finished() {
		p.schedule.add(timer{at: due.Add(p.gap()), task: taskArrival})
	}
	p.open(s)
}

// startTimer starts the timer of a connection's step; while draining, with a shorter delay.
func (p *proxy) startTimer(c *connection, now time.Time, st step) {
	at := now.Add(st.after)
	if p.draining {
		at = now.Add(time.Duration(float64(st.after) * p.shrink))
		if at.After(p.drainEnd) {
			at = p.drainEnd
		}
	}
	c.pending.Add(1)
	p.schedule.add(timer{at: at, op: st.op, conn: c})
}

// drain stops arrivals and restarts, and shortens all remaining delays by one
// factor so that they end within Config.Drain.
func (p *proxy) drain(now time.Time) {
	p.draining = true
	p.drainEnd = now.Add(p.cfg.Drain)
	// A receiver that hangs must not keep the run from ending.
	p.hung = time.AfterFunc(p.cfg.Drain+time.Duration(p.behavior.tries+1)*p.cfg.Timeout, p.abandon)
	var longest time.Duration
	p.schedule.edit(func(a *timer) bool {
		if a.conn != nil {
			longest = max(longest, a.at.Sub(now))
		}
		return a.task != taskArrival && a.task != taskRestart
	})
	if longest > p.cfg.Drain {
		p.shrink = float64(p.cfg.Drain) / float64(longest)
	}
	p.schedule.edit(func(a *timer) bool {
		if left := a.at.Sub(now); a.conn != nil && left > 0 {
			a.at = now.Add(time.Duration(float64(left) * p.shrink))
		}
		return true
	})
	for range p.cfg.LeaveOpen {
		p.openUnclosed()
	}
}
