package track

// Serial returns the position of the connection in Scan: connections are numbered in the order in which they became
// known. It stays the same after a restart.
func (c *Connection) Serial() uint64 { return c.serial }

// Copy returns a copy that the tracker does not change, for readers that keep it after Scan. It shares only data that is
// set once.
func (c *Connection) Copy() Connection {
	copied := *c
	copied.p, copied.proxyDown = nil, c.IsUnknown()
	copied.prevOfClient, copied.nextOfClient = nil, nil
	if c.Decision != nil {
		d := *c.Decision
		copied.Decision = &d
	}
	return copied
}

// Scan visits connections whose Serial is below before, the newest first, of one source or, if source is "", of all,
// until visit returns false. Before 0 stands for all. It returns the serial of the last one that it looked at, which the
// next call gets as before, and whether there may be more connections. limit, at least 1, bounds the work. visit must not
// change or keep the records.
func (t *Tracker) Scan(before uint64, source string, limit int, visit func(*Connection) (more bool)) (next uint64, more bool) {
	if before == 0 {
		before = t.serial + 1
	}
	connections := &t.bySerial
	if source != "" {
		p, ok := t.proxies[source]
		if !ok {
			return before, false
		}
		connections = &p.conns.bySerial
	}
	next = before
	connections.Descend(before-1, func(serial uint64, c *Connection) bool {
		if limit == 0 {
			more = true
			return false
		}
		limit--
		next = serial
		more = !visit(c)
		return !more
	})
	return next, more
}

// Connection returns a connection that is not closed, by its Name.
func (t *Tracker) Connection(source, name string) (*Connection, bool) {
	p, ok := t.proxies[source]
	if !ok {
		return nil, false
	}
	return p.conns.byName(name)
}

// Size returns the numbers of proxies and connections.
func (t *Tracker) Size() (proxies, connections int) {
	return len(t.order), t.bySerial.Len()
}
