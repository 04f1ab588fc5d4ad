package traces

import (
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// settled are the spans that a replay finds to be in the outbox already, or through it. A receipt is
// the ids of such spans, one after the other. As a receipt is written after its spans ended, a span
// that ends in a replay is held until its receipt has had the time to come.
type settled map[trace.SpanID]struct{}

// heldInReplay is how many spans are held before those that are settled are sorted out.
const heldInReplay = 4096

func (s settled) add(receipt []byte) {
	var id trace.SpanID
	for len(receipt) >= len(id) {
		copy(id[:], receipt)
		s[id] = struct{}{}
		receipt = receipt[len(id):]
	}
}

// sort returns those of the spans that are not settled.
func (s settled) sort(spans []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	kept := spans[:0]
	for _, span := range spans {
		if _, ok := s[span.SpanContext().SpanID()]; !ok {
			kept = append(kept, span)
		}
	}
	clear(spans[len(kept):])
	return kept
}

func receipt(b []byte, spans []sdktrace.ReadOnlySpan) []byte {
	for _, span := range spans {
		id := span.SpanContext().SpanID()
		b = append(b, id[:]...)
	}
	return b
}
