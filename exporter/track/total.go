package track

// relieve keeps what all proxies hold together within its bounds: whoever has the most gives up its
// oldest, so that one who invents sources, or floods one, takes from himself. In between the bounds can be
// exceeded by what comes between two calls of Advance.
func (t *Tracker) relieve() {
	for _, kind := range []struct {
		most   int
		held   func(*proxy) int
		giveUp func(*proxy) // of the oldest
	}{
		{t.opts.MaxTotalConnections, func(p *proxy) int { return p.conns.len() }, func(p *proxy) { t.evict(p, p.conns.first) }},
		{t.opts.MaxTotalNeighbors, func(p *proxy) int { return p.neighbors.byAge.Len() }, func(p *proxy) { p.neighbors.dropOldest() }},
		{t.opts.MaxTotalFinished, func(p *proxy) int { return p.finished.queue.len() }, func(p *proxy) { p.finished.dropOldest() }},
	} {
		excess := -kind.most
		for _, p := range t.byAge {
			excess += kind.held(p)
		}
		for excess > 0 {
			largest := t.byAge[0]
			for _, p := range t.byAge {
				if kind.held(p) > kind.held(largest) {
					largest = p
				}
			}
			// Down to the mean, so that it is not searched for again at once.
			n := min(excess, kind.held(largest)-kind.most/len(t.byAge))
			for range n {
				kind.giveUp(largest)
			}
			excess -= n
		}
	}
}
