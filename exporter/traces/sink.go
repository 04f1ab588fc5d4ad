// Package traces makes one trace of each connection and sends it by OTLP.
//
// A span is made when the record of its connection is finished, with both of its timestamps at once:
// a live span could be neither stored nor restored. From the SDK's tracer spans go through its batch
// processor and its transformation to protobuf into the Outbox, which keeps them until the backend
// has accepted them.
package traces

import (
	"context"
	"fmt"
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
	processor sdktrace.SpanProcessor
	limits    sdktrace.SpanLimits
	base      *resource.Resource
	// tracers by source: a resource belongs to a tracer provider, and each proxy is a resource.
	tracers map[string]trace.Tracer
}

// NewSink returns a sink whose spans go to the client, in batches. events is how many events a span
// can have. The OTEL_* variables of the SDK count.
func NewSink(ctx context.Context, client otlptrace.Client, events int) (*Sink, error) {
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
		// Blocking, for the processor otherwise drops spans when its queue is full. The outbox behind
		// it takes them without waiting for the backend.
		processor: sdktrace.NewBatchSpanProcessor(exporter, sdktrace.WithBlocking()),
		limits:    limits,
		base:      base,
		tracers:   map[string]trace.Tracer{},
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
	case track.ProxyForgotten:
		delete(s.tracers, f.Source)
	}
}

// Close sends off what has not been handed to the client yet.
func (s *Sink) Close(ctx context.Context) error { return s.processor.Shutdown(ctx) }

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
		sdktrace.WithSpanProcessor(s.processor),
	).Tracer(scope)
	s.tracers[source] = t
	return t
}
