package traces

import (
	"context"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"smithproxy_exporter/exporter/traceid"
)

type idKey struct{}

// withID makes the next span that is started from the context have the given ids.
func withID(ctx context.Context, id traceid.ID) context.Context {
	return context.WithValue(ctx, idKey{}, id)
}

// contextIDs takes ids from the context, for ours are computed from names and never drawn.
type contextIDs struct{}

var _ sdktrace.IDGenerator = contextIDs{}

func (contextIDs) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	id, _ := ctx.Value(idKey{}).(traceid.ID)
	return id.Trace, id.Span
}

func (contextIDs) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	id, _ := ctx.Value(idKey{}).(traceid.ID)
	return id.Span
}
