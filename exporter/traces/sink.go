// Package traces makes one trace of each connection and sends it by OTLP.
//
// The Sink makes spans of facts and encodes them once, as the OTLP messages that will be sent. The pipeline commits
// them to the store together with the state that they come from. The Sender reads them from there, and removes them
// when the backend has accepted them.
//
// A span is made when the record of its connection is finished, with both of its timestamps at once: a live span of
// the SDK could be neither stored nor restored.
package traces

import (
	"context"
	"fmt"
	"os"
	"slices"

	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"smithproxy_exporter/exporter/track"
)

// scope names the instrumentation that makes the spans.
const scope = "smithproxy_exporter"

// messageSpans is how many spans share an encoded message at most, so that one is well below a request.
const messageSpans = 64

// Sink makes spans of facts. It is used from one goroutine.
type Sink struct {
	sampler sdktrace.Sampler // nil samples all
	limits  sdktrace.SpanLimits
	base    *resource.Resource
	scope   *commonpb.InstrumentationScope
	sources map[string]*proxySpans
	// made are the proxies that have spans which were not passed on, in the order in which they were made.
	made    []*proxySpans
	encoded []byte
}

// proxySpans are the spans of one proxy that were not passed on, and its resource.
type proxySpans struct {
	resource *resourcepb.Resource
	spans    []*tracepb.Span
}

// NewSink returns a sink. requests is how many http.request events a span can have. The OTEL_* variables of the SDK
// for resource, sampler and limits count.
func NewSink(ctx context.Context, requests int) (*Sink, error) {
	base, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("smithproxy")),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("resource: %w", err)
	}
	sampler, err := samplerFromEnv()
	if err != nil {
		return nil, err
	}
	limits := sdktrace.NewSpanLimits()
	if _, set := os.LookupEnv("OTEL_SPAN_EVENT_COUNT_LIMIT"); !set {
		limits.EventCountLimit = max(limits.EventCountLimit, requests)
	}
	s := &Sink{
		sampler: sampler, limits: limits, base: base, scope: &commonpb.InstrumentationScope{Name: scope},
		sources: map[string]*proxySpans{},
	}
	// The environment can hold what is not UTF-8, and cannot be encoded.
	if _, err := proto.Marshal(s.resource("")); err != nil {
		return nil, fmt.Errorf("resource: %w", err)
	}
	return s, nil
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
		if p, ok := s.sources[f.Source]; ok && len(p.spans) == 0 {
			delete(s.sources, f.Source)
		}
	}
}

// Encoded passes on the spans that were made since the last call, as encoded ResourceSpans messages with the number
// of spans in each. A message is valid during the visit.
func (s *Sink) Encoded(visit func(encoded []byte, spans int)) {
	for _, p := range s.made {
		for spans := range slices.Chunk(p.spans, messageSpans) {
			message := &tracepb.ResourceSpans{
				Resource: p.resource, SchemaUrl: semconv.SchemaURL,
				ScopeSpans: []*tracepb.ScopeSpans{{Scope: s.scope, Spans: spans}},
			}
			encoded, err := proto.MarshalOptions{}.MarshalAppend(s.encoded[:0], message)
			if err != nil {
				panic(err) // Strings are valid UTF-8: event.Decode and NewSink see to that.
			}
			s.encoded = encoded
			visit(encoded, len(spans))
		}
		clear(p.spans)
		p.spans = p.spans[:0]
	}
	clear(s.made)
	s.made = s.made[:0]
}

// add takes a span of a proxy, unless the sampler drops its trace.
func (s *Sink) add(source string, span *tracepb.Span) {
	if s.sampler != nil {
		parameters := sdktrace.SamplingParameters{ParentContext: context.Background(), TraceID: [16]byte(span.TraceId)}
		if s.sampler.ShouldSample(parameters).Decision != sdktrace.RecordAndSample {
			return
		}
	}
	p, ok := s.sources[source]
	if !ok {
		p = &proxySpans{resource: s.resource(source)}
		s.sources[source] = p
	}
	if len(p.spans) == 0 {
		s.made = append(s.made, p)
	}
	p.spans = append(p.spans, span)
}

// resource is that of a proxy. What says which proxy it is counts more than the environment.
func (s *Sink) resource(source string) *resourcepb.Resource {
	own := resource.NewSchemaless(semconv.ServiceInstanceID(source), semconv.HostName(source))
	merged, err := resource.Merge(s.base, own)
	if err != nil {
		merged = own // Only schema URLs can conflict, and one side has none.
	}
	return &resourcepb.Resource{Attributes: encodeAttributes(merged.Attributes(), -1, -1)}
}
