package fleet

import (
	"context"
	"math/rand/v2"
	"time"
)

// pingEvent returns a ping with the open connections; further adds the second list, which has the labels, too.
func (p *proxy) pingEvent(further bool) event {
	m := message{Action: ActionPing, Source: p.source}
	e := event{action: ActionPing, timeout: p.cfg.Timeout}
	if p.form != FormHOWTO {
		l := p.presence.list(time.Now(), further)
		empty := p.behavior.emptyList
		m.Instance, m.Proxies = p.instanceNow(), listOr(empty, l.ids)
		if further {
			m.ProxiesPlus = listOr(empty, l.plus)
		}
		e.list, e.listed = l.number, l.listed
	}
	e.body = encode(m)
	return e
}

// pushPing queues a ping.
func (p *proxy) pushPing() {
	e := p.pingEvent(false)
	e.tries = p.cfg.Faults.tries(p.maintenance)
	p.enqueue(e)
}

// deliverPing sends a ping without queueing it, waits for the answer, and reports whether the receiver acknowledged it.
func (p *proxy) deliverPing(ctx context.Context, further bool) (acknowledged bool) {
	e := p.pingEvent(further)
	if o := p.deliver(ctx, e); o.acked == 0 {
		return false
	}
	p.listTaken(e)
	return true
}

// listTaken records that the receiver acknowledged a ping with a list.
func (p *proxy) listTaken(e event) {
	if e.list == 0 {
		return
	}
	p.presence.acknowledged(e.list, e.listed)
	p.archive.sweep(p)
}

// extraPings is how many more pings lastPings tries when some fail.
const extraPings = 2

// lastPings sends pings at the end of the run, until the receiver has acknowledged Config.LastPings of them. No other
// list overtakes them, so they decide which connections are lost.
func (p *proxy) lastPings() {
	missing := p.cfg.LastPings
	for range p.cfg.LastPings + extraPings {
		if missing == 0 || !pause(p.sendContext, p.cfg.LastPingGap) {
			return
		}
		if p.deliverPing(p.sendContext, false) {
			missing--
		}
	}
}

// announce queues the announcement of a client's address as a new neighbor, when it is seen for the first time.
func (p *proxy) announce(s *script) {
	address := s.client.Addr().String()
	if !p.neighbors.seen(address) {
		return
	}
	p.ledger.with(func(t *Totals) { t.NeighborsNew++ })
	e := p.neighborEvent("new", []string{address})
	e.announces = true
	e.tries = p.cfg.Faults.tries(p.maintenance)
	p.enqueue(e)
}

// pushNeighbors queues an update with all known addresses. A message of the HOWTO form has one address: in that form,
// there is a message for each address with traffic since the last update.
func (p *proxy) pushNeighbors() {
	if p.form == FormHOWTO {
		for _, a := range p.neighbors.takeActive() {
			p.enqueue(p.neighborEvent("update", []string{a}))
		}
		return
	}
	if all := p.neighbors.all(); len(all) > 0 {
		p.enqueue(p.neighborEvent("update", all))
	}
}

func (p *proxy) neighborEvent(state string, addresses []string) event {
	m := message{Action: ActionNeighbor, Source: p.source, State: state}
	if p.form == FormHOWTO {
		m.Address = addresses[0]
	} else {
		m.Addresses = addresses
	}
	return event{action: ActionNeighbor, body: encode(m), timeout: p.cfg.NeighborTimeout}
}

// newMaintenance returns the random source for the faults of pings and neighbor messages. It is not that of the scripts,
// because the number of these messages depends on the clock.
func newMaintenance(seed uint64, index int) *rand.Rand {
	return rand.New(rand.NewPCG(seed, ^uint64(index)))
}
