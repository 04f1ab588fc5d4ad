package traces

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// The pauses between attempts that fail double from the first to the second.
	minPause = time.Second
	maxPause = 15 * time.Second
	// maxAskedPause bounds what a backend can ask for by RetryInfo.
	maxAskedPause = 5 * time.Minute
)

// sender sends spans, in order, for as long as it takes.
type sender struct {
	client otlptrace.Client
	meter  Meter
	logger *slog.Logger
	stop   <-chan struct{}
	// last is the last pause, 0 after a success.
	last time.Duration
}

// parcel is one span, with what it shares with others.
type parcel struct {
	resource *tracepb.ResourceSpans
	scope    *tracepb.ScopeSpans
	span     *tracepb.Span
	bytes    int
}

// deliver returns true when each of the spans has been accepted, or refused for good; false when it was
// stopped before. A request that is refused for good is sent again in halves, until the span is found
// that is to blame: so one span does not take others with it.
func (s *sender) deliver(spans []parcel) bool {
	for size := len(spans); len(spans) > 0; {
		batch := spans[:fit(spans, size)]
		err := s.client.UploadTraces(context.Background(), assemble(batch))
		switch {
		case err == nil:
			s.meter.SpansExported(len(batch))
			s.last = 0
			spans, size = spans[len(batch):], 2*len(batch)
		case refused(err, len(batch)) && len(batch) > 1:
			size = len(batch) / 2
		case refused(err, len(batch)):
			s.meter.SpansDropped(DroppedRefused, 1)
			s.logger.Error("Backend refused a span for good", "name", batch[0].span.GetName(), "err", err)
			s.last = 0
			spans, size = spans[1:], len(spans)
		default:
			s.meter.SpansFailed(len(batch))
			if code(err) == codes.ResourceExhausted {
				size = max(1, len(batch)/2) // It may be that the request was too large.
			}
			if !s.pause(err) {
				return false
			}
		}
	}
	return true
}

// fit is how many of the spans go into one request.
func fit(spans []parcel, most int) int {
	n, bytes := 0, 0
	for n < len(spans) && n < most && (n == 0 || bytes+spans[n].bytes <= maxBatchBytes) {
		bytes += spans[n].bytes
		n++
	}
	return n
}

// pause waits after a failure; false means that the outbox has been stopped, and that there is no time
// for another attempt.
func (s *sender) pause(cause error) bool {
	if s.last == 0 {
		s.logger.Warn("Spans could not be sent, and are kept", "err", cause)
	}
	s.last = min(max(2*s.last, minPause), maxPause)
	timer := time.NewTimer(max(s.last, asked(cause)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.stop:
		return false
	}
}

// assemble groups spans by resource and scope again.
func assemble(batch []parcel) []*tracepb.ResourceSpans {
	var out []*tracepb.ResourceSpans
	var scope, last *tracepb.ScopeSpans
	for _, p := range batch {
		if p.scope != last {
			last = p.scope
			scope = &tracepb.ScopeSpans{Scope: p.scope.GetScope(), SchemaUrl: p.scope.GetSchemaUrl()}
			out = append(out, &tracepb.ResourceSpans{
				Resource: p.resource.GetResource(), SchemaUrl: p.resource.GetSchemaUrl(),
				ScopeSpans: []*tracepb.ScopeSpans{scope},
			})
		}
		scope.Spans = append(scope.Spans, p.span)
	}
	return out
}

// refused reports whether the backend will never take a request of so many spans. Everything else, an
// expired token too, can change.
func refused(err error, spans int) bool {
	switch code(err) {
	case codes.InvalidArgument:
		return true
	case codes.ResourceExhausted:
		// What gRPC's own server says of a message above its limit; a span cannot be sent in halves.
		return spans == 1 && strings.Contains(err.Error(), "message larger than max")
	}
	return false
}

// code is that of the gRPC status in err, Unknown if there is none.
func code(err error) codes.Code { return statusOf(err).Code() }

func statusOf(err error) *status.Status {
	var grpcError interface{ GRPCStatus() *status.Status }
	if errors.As(err, &grpcError) {
		return grpcError.GRPCStatus()
	}
	return status.New(codes.Unknown, err.Error())
}

// asked is the pause that the backend asks for, 0 if it does not.
func asked(err error) time.Duration {
	for _, detail := range statusOf(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return min(info.GetRetryDelay().AsDuration(), maxAskedPause)
		}
	}
	return 0
}
