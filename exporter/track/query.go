package track

// Cursor is a place among the connections of all proxies, ordered by source and, within one, as they became
// known. The zero value is before the first.
type Cursor struct {
	Source string
	Serial uint64
}

// Scan visits up to so many connections after a cursor, of one source or, with "", of all, and returns where it
// stopped. more is false when there are none left. Records are the tracker's own: not to be changed or kept.
func (t *Tracker) Scan(from Cursor, source string, limit int, visit func(*Connection) (more bool)) (to Cursor, more bool) {
	if source != "" && from.Source != source {
		from = Cursor{Source: source}
	}
	p := t.atOrAfter(from.Source)
	for p != nil && (source == "" || p.source == source) {
		if p.source != from.Source {
			from = Cursor{Source: p.source}
		}
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
			break
		}
		p = t.atOrAfter(p.source + "\x00")
	}
	return from, false
}

// atOrAfter returns the proxy with the source, or the next one by name; nil when there is none.
func (t *Tracker) atOrAfter(source string) *proxy {
	var first *proxy
	for _, p := range t.order {
		if p.source >= source && (first == nil || p.source < first.source) {
			first = p
		}
	}
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
