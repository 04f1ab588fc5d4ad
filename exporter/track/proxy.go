package track

import (
	"slices"
	"time"
)

// proxy is the state of one source.
type proxy struct {
	source string

	// instance is the boot id in force; retired are the ones before it, newest last, whose stragglers
	// must not look like another restart.
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

	// Whether the proxy sends connection-info at all decides whether a stopped connection has to wait
	// for one. Unknown until an info came, or until infoEvidence connections that carried data got none.
	sendsInfo   bool
	missedInfos int

	// leaving is set while what is left of a proxy that is forgotten is closed, in steps.
	leaving bool

	dirty   bool // it changed since it was written to the store
	changed bool // its status changed since it was reported
	marked  bool // it may be dirty or changed, or decisions or neighbors of it
}

// pings is what the pings of a proxy say of its life.
type pings struct {
	last Instant
	// since is when it pinged first, or first again after it had been silent for longer than it pinged.
	since time.Duration
	// down is set once no ping came for the ping timeout; it counts only if known, which is once it
	// pinged or was down.
	down, known bool
	// downAt is when it was noticed, by the running time.
	downAt time.Duration
}

// infoEvidence is how many connections with data must have had no info before a proxy counts as one
// that sends none. More than one, because the feature belongs to a policy, not to the proxy.
const infoEvidence = 20

// maxRetired boot ids are remembered; their stragglers come within the grace period.
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

// status is what is reported of the proxy.
func (p *proxy) status() ProxyStatus {
	return ProxyStatus{
		Source: p.source, Instance: p.instance, Up: p.ping.known && !p.ping.down, Unknown: !p.ping.known,
		PingedAt: p.ping.last.Time(), Open: p.open, Neighbors: p.neighbors.byAge.Len(),
	}
}

// seeInstance notes the boot id that an event carries. A new one means that the proxy restarted, and that
// what belonged to the one before is over: those connections are closed in steps, each at the latest when
// an event of it comes.
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
	// Its policies can be others now.
	p.sendsInfo, p.missedInfos = false, 0
	t.later(&restartTask{p: p, planned: p.shutdown.beforeRestart(p.open), shutdown: p.shutdown})
	p.shutdown = shutdown{}
}

// restartTask closes the connections of boot ids that are no longer in force.
type restartTask struct {
	p        *proxy
	planned  bool     // the boot before was shut down
	shutdown shutdown // as it was then
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

// checkPings notices a proxy that no longer pings. One that never did has the time from its first event
// on, and every one from when it could be heard.
func (t *Tracker) checkPings(p *proxy, now Instant) {
	since := max(p.appearedAt, t.resumedAt, p.ping.last.Mono)
	if !p.ping.down && now.Mono-since > t.config.Proxies.PingTimeout {
		p.ping.down, p.ping.known, p.ping.downAt = true, true, now.Mono
		p.dirty, p.changed = true, true
		t.mark(p)
	}
	if p.ping.down && t.config.Proxies.DownTimeout > 0 && p.open > 0 && now.Mono-max(p.ping.downAt, t.resumedAt) >= t.config.Proxies.DownTimeout && now.Mono-p.heardAt >= t.config.Proxies.DownTimeout {
		p.ping.downAt = now.Mono // once for each down age
		t.later(&downTask{p: p})
	}
}

// downTask closes what is open on a proxy that has been down for the down age.
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
