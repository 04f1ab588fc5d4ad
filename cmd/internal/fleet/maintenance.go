package fleet

import (
	"context"
	"math/rand/v2"
	"time"
)

// pingEvent builds a ping of what is open now; further adds the second list,
// which has the labels too.
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

// pushPing sends a ping through the pool.
func (p *proxy) pushPing() {
	e := p.pingEvent(false)
	e.tries = p.cfg.Faults.tries(p.maintenance)
	p.enqueue(e)
}

// deliverPing sends a ping at once and waits for the answer.
func (p *proxy) deliverPing(ctx context.Context, further bool) {
	e := p.pingEvent(further)
	if o := p.deliver(ctx, e); o.acked > 0 {
		p.listTaken(e)
	}
}

// listTaken notes that the receiver acknowledged a ping with a list.
func (p *proxy) listTaken(e event) {
	if e.list == 0 {
		return
	}
	p.presence.acknowledged(e.list, e.listed)
	p.archive.sweep(p)
}

// lastPings sends the pings at the end of the run.
func (p *proxy) lastPings() {
	for range p.cfg.LastPings {
		select {
		case <-time.After(p.cfg.LastPingGap):
		case <-p.sendContext.Done():
			return
		}
		p.deliverPing(p.sendContext, false)
	}
}

// announce sends a client's address as a new neighbor when it is seen for the first
// time.
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

// pushNeighbors sends an update of all known addresses. The HOWTO form has room
// for one: there each with traffic since the last time gets a message.
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

// newMaintenance returns the random source for faults of pings and neighbor
// messages. Their number depends on the clock, so they do not share the source of
// the scripts.
func newMaintenance(seed uint64, index int) *rand.Rand {
	return rand.New(rand.NewPCG(seed, ^uint64(index)))
}
