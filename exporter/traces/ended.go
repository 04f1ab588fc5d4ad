package traces

import (
	"context"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// ended is a span processor that holds the spans that have ended until they are taken. The SDK's batch
// processor would hand them on at a time of its own, and drop those of a failed hand-over; here both are
// the Sink's to decide. It is used from one goroutine.
type ended struct{ spans []sdktrace.ReadOnlySpan }

var _ sdktrace.SpanProcessor = (*ended)(nil)

func (*ended) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

func (e *ended) OnEnd(s sdktrace.ReadOnlySpan) {
	if s.SpanContext().IsSampled() {
		e.spans = append(e.spans, s)
	}
}

func (*ended) Shutdown(context.Context) error   { return nil }
func (*ended) ForceFlush(context.Context) error { return nil }

// take removes the spans, and returns them.
func (e *ended) take() []sdktrace.ReadOnlySpan {
	spans := e.spans
	e.spans = nil
	return spans
}
