package history

import (
	"smithproxy_exporter/exporter/privacy"
	"smithproxy_exporter/exporter/track"
)

// Sink encodes connections as they finish. It is not safe for concurrent use.
type Sink struct {
	forms   Forms
	buf     []byte
	entries []span
}

// span is an entry in Sink.buf.
type span struct {
	source, name string
	start, end   int
}

// NewSink returns a Sink for connections that have passed a policy.
func NewSink(policy *privacy.Policy) *Sink { return &Sink{forms: formsOf(policy)} }

// Take encodes a finished connection, and what is added to one later. It takes about a microsecond.
func (s *Sink) Take(f track.Fact) {
	switch f := f.(type) {
	case track.Finished:
		r := Of(f.C)
		s.add(&r)
	case track.Late:
		r := Of(f.C)
		r.Late, r.LateAction, r.LateAt = true, f.Action, f.At
		s.add(&r)
	}
}

func (s *Sink) add(r *Record) {
	start := len(s.buf)
	s.buf = r.Append(s.buf, s.forms)
	s.entries = append(s.entries, span{r.Source, r.Name(), start, len(s.buf)})
}

// maxRetained bounds the memory that an idle Sink holds on to.
const maxRetained = 1 << 20

// Entries visits the entries since the last call, with the source and the name of their connections. An entry is valid
// during the visit.
func (s *Sink) Entries(visit func(source, name string, entry []byte)) {
	for _, e := range s.entries {
		visit(e.source, e.name, s.buf[e.start:e.end])
	}
	clear(s.entries)
	s.entries, s.buf = s.entries[:0], s.buf[:0]
	if cap(s.buf) > maxRetained {
		s.buf = nil
	}
}
