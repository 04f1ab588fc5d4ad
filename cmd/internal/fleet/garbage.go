package fleet

import (
	"bytes"
	"context"
	"fmt"
	"strings"
)

// sendGarbage sends an invalid request, once.
func (p *proxy) sendGarbage(ctx context.Context, e event) {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	a, err := p.exchange(ctx, p.garbageRequest(e.garbage))
	if err != nil {
		p.logger.Debug("Garbage got no answer", "source", p.source, "kind", e.garbage.String(), "err", err)
	}
	p.ledger.garbageSent(e.garbage, a.status) // 0 after an error
}

// garbageRequest returns a request with a single fault.
func (p *proxy) garbageRequest(kind garbage) request {
	r := request{method: "POST", path: p.path, body: encode(message{Action: ActionPing, Source: p.source})}
	switch kind {
	case garbageNotJSON:
		r.body = r.body[:len(r.body)-1]
	case garbageSecret:
		r.path = wrongSecret(p.path)
	case garbageMethod:
		r.method = "PUT"
	case garbageTooLarge:
		r.body = p.tooLarge()
	case garbageAction:
		r.body = encode(message{Action: "connection-teapot", Source: p.source})
	case garbageType:
		r.body = encode(message{Action: ActionPing, Source: p.source, Type: "teapot"})
	}
	return r
}

// tooLarge returns a ping of the given size or little more.
func tooLarge(source string, size int) []byte {
	var b bytes.Buffer
	b.Grow(size + 256)
	fmt.Fprintf(&b, `{"action":"ping","source":%q,"type":"proxy","x":"`, source)
	for range size {
		b.WriteByte('x')
	}
	b.WriteString(`"}`)
	return b.Bytes()
}

// wrongSecret replaces the last segment of the path.
func wrongSecret(path string) string {
	path, query, hasQuery := strings.Cut(path, "?")
	path = path[:strings.LastIndexByte(path, '/')+1] + "not-the-secret"
	if hasQuery {
		path += "?" + query
	}
	return path
}
