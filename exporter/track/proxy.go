package track

import (
	"slices"
	"time"
)

// proxy is the state of one source.
type proxy struct {
	source string

	// instance is the current boot id; retired are earlier ones, newest last, whose late events must not look like
	// another restart.
	instance string
	retired  []string

	appearedAt time.Duration // when its first event was received
	heardAt    time.Duration // when the last one was
	ping       pings
	shutdown   shutdown
	resync     resync
	lists      lists

	conns     records
	open      int // of conns, those in StateOpen
	decisions decisions
	neighbors neighbors

	// sendsInfo is set once the proxy sent a connection-info. While it is not, missedInfos counts connections with data
	// and without an info; at infoEvidence, stopped connections do not wait for one any more.
	sendsInfo   bool
	missedInfos int

	// leaving is set while the connections of a proxy that is to be forgotten are closed in steps, asked if an operator
	// asked for it.
	leaving, asked bool

	dirty   bool // changed since it was written to the store
	changed bool // the status changed since it was emitted
	marked  bool // in Tracker.marked
}

// pings is the state that the pings of a proxy determine.
type pings struct {
	last Instant
	// since is when it first pinged, or first again after a silence that was longer than the time for which it pinged.
	since time.Duration
	// down is set once no ping was received for the ping timeout. It is valid if known is set: after the first ping or
	// timeout.
	down, known bool
	// downAt is the running time at which down was set.
	downAt time.Duration
}

// isDown reports whether no ping was received for the ping timeout.
func (p *pings) isDown() bool { return p.known && p.down }

// infoEvidence is how many connections with data must lack an info before a proxy counts as one that sends none. It is
// more than one, because connection-info is a feature of a policy, not of the proxy.
const infoEvidence = 20

// maxRetired bounds proxy.retired. Late events of a boot id are received within the grace period.
const maxRetired = 8

func newProxy(source string, at time.Duration) *proxy {
	p := &proxy{
		source: source, appearedAt: at, heardAt: at, conns: newRecords(),
		neighbors: newNeighbors(), resync: resync{state: resyncDue}, dirty: true, changed: true,
	}
	p.decisions = newDecisions(&p.conns)
	return p
}

// expectsInfo reports whether an info may still come for a connection that has none.
func (p *proxy) expectsInfo() bool { return p.sendsInfo || p.missedInfos < infoEvidence }

// isRetired reports whether the boot id belongs to an earlier run of the daemon.
func (p *proxy) isRetired(instance string) bool { return slices.Contains(p.retired, instance) }

func (p *proxy) retire(instance string) {
	p.retired = append(p.retired, instance)
	if len(p.retired) > maxRetired {
		p.retired = slices.Delete(p.retired, 0, 1)
	}
}

// status returns the fact that describes the proxy.
func (p *proxy) status() ProxyStatus {
	open := p.open
	if p.ping.isDown() {
		open = 0
	}
	return ProxyStatus{
		Source: p.source, Instance: p.instance, Up: p.ping.known && !p.ping.down, Unknown: !p.ping.known,
		PingedAt: p.ping.last.Time(), Open: open, Neighbors: p.neighbors.byAge.Len(),
	}
}

// seeInstance handles the boot id of an event. A new one means that the proxy restarted: the connections of the previous
// boot id are closed in steps, each at the latest when an event of it is received.
func (t *Tracker) seeInstance(p *proxy, instance string) {
	if instance == "" || instance == p.instance || p.isRetired(instance) {
		return
	}
	before := p.instance
	p.instance, p.dirty, p.changed = instance, true, true
	if before == "" {
		return
	}
	t.emit(ProxyRestarted{Source: p.source, Old: before, New: instance})
	p.retire(before)
	p.resync.want()
	// Its policies may have changed.
	p.sendsInfo, p.missedInfos = false, 0
	t.schedule(&restartTask{p: p, planned: p.shutdown.beforeRestart(p.open), shutdown: p.shutdown})
	p.shutdown = shutdown{}
}

// restartTask closes the connections of retired boot ids.
type restartTask struct {
	p        *proxy
	planned  bool     // the previous boot ended with a shutdown
	shutdown shutdown // at the restart
	serial   uint64
}

func (r *restartTask) step(t *Tracker, at Instant) (more bool) {
	return t.walk(r.p, &r.serial, func(c *Connection) {
		switch {
		case !r.p.isRetired(c.Instance()):
		case c.State == StateOpen:
			t.move(r.p, c, inRestart, at)
		case r.planned && r.shutdown.covers(c):
			t.move(r.p, c, inShutdown, at)
		}
	})
}

// checkPings marks a proxy as down after the ping timeout, which counts from the last ping, the first event or the last
// Resume.
func (t *Tracker) checkPings(p *proxy, now Instant) {
	since := max(p.appearedAt, t.resumedAt, p.ping.last.Mono)
	if !p.ping.down && now.Mono-since > t.config.Proxies.PingTimeout {
		p.ping.down, p.ping.known, p.ping.downAt = true, true, now.Mono
		p.dirty, p.changed = true, true
		t.mark(p)
	}
	if p.ping.down && t.config.Proxies.DownTimeout > 0 && p.open > 0 && now.Mono-max(p.ping.downAt, t.resumedAt) >= t.config.Proxies.DownTimeout && now.Mono-p.heardAt >= t.config.Proxies.DownTimeout {
		p.ping.downAt = now.Mono // once in each down timeout
		t.schedule(&downTask{p: p})
	}
}

// downTask closes the open connections of a proxy that has been down for the down timeout.
type downTask struct {
	p      *proxy
	serial uint64
}

func (d *downTask) step(t *Tracker, at Instant) (more bool) {
	if !d.p.ping.down {
		return false
	}
	return t.walk(d.p, &d.serial, func(c *Connection) {
		if c.State == StateOpen {
			t.move(d.p, c, inDown, at)
		}
	})
}
