package fleet

import (
	"fmt"
	"time"
)

// destroyAfter is the time from a SIGTERM to the infos of open connections.
const destroyAfter = 10 * time.Second

// boot starts a process with another instance and new ids.
func (p *proxy) boot(now time.Time) {
	random := p.daemon.Uint32()
	if p.daemon.IntN(8) == 0 {
		random >>= 4 // it is not padded with zeros, so some are shorter
	}
	instance := fmt.Sprintf("Proxy-%X", random)
	p.instance.Store(&instance)
	p.instances = append(p.instances, instance)
	p.ids.boot(instance)
	p.refreshes.reset()
	p.schedule.add(timer{at: now.Add(p.cfg.FirstPing), task: taskPing})
}

// instanceNow returns the boot id.
func (p *proxy) instanceNow() string { return *p.instance.Load() }

// restart ends the process by SIGTERM or SIGKILL and starts the next one. Open connections send no stop. After a SIGTERM
// they send their infos later if the generation does that; else queued events are discarded. Running transfers complete,
// because the outcome of an aborted one would be unknown.
func (p *proxy) restart(now time.Time) {
	kill := p.daemon.Float64() < p.cfg.RestartKillShare
	overlap := p.daemon.IntN(2) == 0 // the next process does not wait for the last one
	infos := !kill && p.behavior.infosAtStop
	if !kill && !infos {
		p.pool.discard(func(e event) { p.giveUp(e, outcome{discarded: true}) })
	}
	p.pool.idle()
	p.archive.restarted(p, !kill)

	last := now.Add(min(destroyAfter, p.cfg.InfoDelayMax))
	var dropped []*connection
	p.schedule.edit(func(a *timer) bool {
		if a.conn == nil {
			return a.task != taskPing
		}
		a.conn.killed, a.conn.planned = true, !kill
		if !infos || a.op != opInfo {
			dropped = append(dropped, a.conn)
			return false
		}
		if !a.conn.ended || a.at.After(last) {
			a.at = last
		}
		return true
	})
	p.presence.clear()
	for _, c := range dropped {
		p.end(c, now)
		p.release(c)
	}
	p.ledger.with(func(t *Totals) {
		t.Restarts++
		if !kill {
			t.PlannedStops++
		}
	})
	p.logger.Debug("Restarting", "source", p.source, "kill", kill, "overlap", overlap)
	if infos && !overlap {
		p.suspended, now = last, last
	}
	p.boot(now)
}
