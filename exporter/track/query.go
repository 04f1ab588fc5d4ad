package track

// Cursor is a place among the connections of all proxies, ordered by source and, within one, as they became
// known. The zero value is before the first. A cursor outlives the connection it is of, and a restart.
type Cursor struct {
	Source string
	Serial uint64
}

// Cursor is the place of the connection.
func (c *Connection) Cursor() Cursor { return Cursor{c.Source, c.serial} }

// Copy returns a copy that the tracker does not change, for readers that keep it after Scan or Query. It shares
// only what is set once: the parts that events brought.
func (c *Connection) Copy() Connection {
	copied := *c
	copied.prevOfClient, copied.nextOfClient = nil, nil
	if c.Decision != nil {
		d := *c.Decision
		copied.Decision = &d
	}
	return copied
}

// Scan visits connections after a cursor, of one source or, with "", of all, until visit returns false, and
// returns where it stopped. limit, at least 1, bounds its work: a connection counts one, and so does each proxy
// that is left for the next. more is false when there are none left. Records are the tracker's own: not to be
// changed or kept.
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

// atOrAfter returns the proxy with the source, or the next one by name; nil when there is none.
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
	return p.conns.named(name)
}

// Size is how many proxies and connections there are.
func (t *Tracker) Size() (proxies, connections int) {
	for _, p := range t.order {
		connections += p.conns.len()
	}
	return len(t.order), connections
}
