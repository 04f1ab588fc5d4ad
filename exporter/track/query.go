package track

// Cursor is a position among the connections of all proxies, which are ordered by source and then by when they became
// known. The zero value is before the first. A cursor stays valid after its connection is gone, and after a restart.
type Cursor struct {
	Source string
	Serial uint64
}

// Cursor returns the position of the connection.
func (c *Connection) Cursor() Cursor { return Cursor{c.Source, c.serial} }

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

// Scan visits connections after a cursor, of one source or, if source is "", of all, until visit returns false. It
// returns the position where it stopped, and whether there are more connections. limit, at least 1, bounds the work: it
// counts connections, and steps to the next proxy. visit must not change or keep the records.
func (t *Tracker) Scan(from Cursor, source string, limit int, visit func(*Connection) (more bool)) (to Cursor, more bool) {
	if source != "" && from.Source != source {
		from = Cursor{Source: source}
	}
	p := t.atOrAfter(from.Source)
	if p == nil || source != "" && p.source != source {
		return from, false
	}
	if p.source != from.Source {
		from = Cursor{Source: p.source}
	}
	for {
		for c := range p.conns.after(from.Serial) {
			if limit == 0 {
				return from, true
			}
			limit--
			from.Serial = c.serial
			if !visit(c) {
				return from, true
			}
		}
		if source != "" {
			return from, false
		}
		if p = t.atOrAfter(p.source + "\x00"); p == nil {
			return from, false
		}
		if limit == 0 {
			return from, true
		}
		limit--
		from = Cursor{Source: p.source}
	}
}

// atOrAfter returns the proxy with the source, or else the next one by name; nil if there is none.
func (t *Tracker) atOrAfter(source string) *proxy {
	var first *proxy
	t.bySource.Ascend(source, func(_ string, p *proxy) bool {
		first = p
		return false
	})
	return first
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
	for _, p := range t.order {
		connections += p.conns.len()
	}
	return len(t.order), connections
}
