// Package traces makes one trace of each connection and sends it by OTLP.
//
// A span is made when the record of its connection is finished, with both of its timestamps at once:
// a live span could be neither stored nor restored. From the SDK's tracer spans go, when the Sink is told
// to commit, through the transformation to protobuf into the Outbox, which keeps them on disk until the
// backend has accepted them.
package traces

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"smithproxy_exporter/exporter/track"
)

// scope names the instrumentation that makes the spans.
const scope = "smithproxy_exporter"

// Sink makes spans of facts. It is used from one goroutine.
type Sink struct {
	ended    ended
	exporter *otlptrace.Exporter
	logger   *slog.Logger
	// settled and receipts are of the replay, and of the last commit.
	settled settled
	receipt []byte
	limits  sdktrace.SpanLimits
	base    *resource.Resource
	// tracers by source: a resource belongs to a tracer provider, and each proxy is a resource.
	tracers map[string]trace.Tracer
}

// NewSink returns a sink whose spans go to the client when they are committed. events is how many events
// a span can have. The OTEL_* variables of the SDK count.
func NewSink(ctx context.Context, client otlptrace.Client, events int, logger *slog.Logger) (*Sink, error) {
	base, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("smithproxy")),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("resource: %w", err)
	}
	exporter, err := otlptrace.New(ctx, client)
	if err != nil {
		return nil, fmt.Errorf("span exporter: %w", err)
	}
	limits := sdktrace.NewSpanLimits()
	if _, set := os.LookupEnv("OTEL_SPAN_EVENT_COUNT_LIMIT"); !set {
		limits.EventCountLimit = max(limits.EventCountLimit, events)
	}
	return &Sink{
		exporter: exporter, logger: logger, settled: settled{}, limits: limits, base: base,
		tracers: map[string]trace.Tracer{},
	}, nil
}

// Take makes the spans of a fact, if it is one that has spans.
func (s *Sink) Take(f track.Fact) {
	switch f := f.(type) {
	case track.Finished:
		s.connection(f.C)
	case track.Unclaimed:
		s.unclaimed(f.D)
	case track.Late:
		s.late(f)
	case track.StillOpen:
		s.stillOpen(f)
	case track.ProxyForgotten:
		delete(s.tracers, f.Source)
	}
}

// Settled leaves out of the next Commit what the receipt of an earlier one stands for.
func (s *Sink) Settled(receipt []byte) {
	s.settled.add(receipt)
	if len(s.ended.spans) >= heldInReplay {
		s.ended.spans = s.settled.sort(s.ended.spans)
	}
}

// Commit hands the spans that have ended since the last one to the client. It returns a receipt for
// them, which is valid until the next: nil if there are none, or the client could not make them durable.
func (s *Sink) Commit() []byte {
	spans := s.ended.take()
	if len(s.settled) > 0 {
		spans = s.settled.sort(spans)
		clear(s.settled)
	}
	if len(spans) == 0 {
		return nil
	}
	if err := s.exporter.ExportSpans(context.Background(), spans); err != nil {
		s.logger.Debug("Spans are in memory only", "err", err)
		return nil
	}
	s.receipt = receipt(s.receipt[:0], spans)
	return s.receipt
}

// Close stops the client.
func (s *Sink) Close(ctx context.Context) error { return s.exporter.Shutdown(ctx) }

func (s *Sink) tracer(source string) trace.Tracer {
	if t, ok := s.tracers[source]; ok {
		return t
	}
	res, err := resource.Merge(
		resource.NewSchemaless(semconv.ServiceInstanceID(source), semconv.HostName(source)),
		s.base,
	)
	if err != nil {
		// Only schema URLs can conflict, and one side has none; the merged attributes are good anyway.
		res = s.base
	}
	t := sdktrace.NewTracerProvider(
		sdktrace.WithResource(res),
		sdktrace.WithRawSpanLimits(s.limits),
		sdktrace.WithIDGenerator(contextIDs{}),
		sdktrace.WithSpanProcessor(&s.ended),
	).Tracer(scope)
	s.tracers[source] = t
	return t
}
