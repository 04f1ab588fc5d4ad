// Package traceid computes the trace and span ids of a connection. They depend only on names that are also in logs, so
// that they can be computed from a log line; see Of.
package traceid

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"
)

// ID is the id of a trace and of its root span.
type ID struct {
	Trace [16]byte
	Span  [8]byte
}

// TraceString returns the trace id in lower-case hex, as tracing backends show it.
func (id ID) TraceString() string { return hex.EncodeToString(id.Trace[:]) }

// SpanString returns the span id in lower-case hex.
func (id ID) SpanString() string { return hex.EncodeToString(id.Span[:]) }

// Of returns the ids of the connection name of the proxy source: the first 16 and the next 8 bytes of
// SHA-256("<source>/<name>"). The name is the connection's id and, for the n-th connection of an id that the proxy
// uses again within a boot, n ≥ 2, "<id>#<n>"; see track.Connection.Name. In a shell:
//
//	printf %s "oneofmany1/Proxy-A65E609B-OID-FEE9B1098109" | sha256sum | cut -c1-32
//	printf %s "oneofmany1/Proxy-A65E609B-PTR-7F3A2C001B40#2" | sha256sum | cut -c1-32
func Of(source, name string) ID { return hash(source + "/" + name) }

// OfDecision returns the ids of an access decision that matched no connection:
// SHA-256("<source>/<session label>/<receipt, Unix ns>").
func OfDecision(source, label string, received time.Time) ID {
	return hash(source + "/" + label + "/" + strconv.FormatInt(received.UnixNano(), 10))
}

// Child returns the id of a child span. Its name must be unique in the trace.
func (id ID) Child(name string) ID {
	return ID{Trace: id.Trace, Span: hash(string(id.Trace[:]) + "/" + name).Span}
}

func hash(text string) ID {
	sum := sha256.Sum256([]byte(text))
	return ID{Trace: [16]byte(sum[:16]), Span: [8]byte(sum[16:24])}
}
