// Package traces turns each connection into a trace and sends it by OTLP.
//
// The Sink turns facts into spans and encodes them once, as the OTLP messages that are sent. The pipeline commits them
// to the store, in the transaction that changes the state. The Sender reads them from the store, and removes them after
// the backend has accepted them.
//
// A span is created when the record of its connection is complete, with both timestamps, because a live span of the SDK
// could be neither stored nor restored.
package traces

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"smithproxy_exporter/exporter/geo"
	"smithproxy_exporter/exporter/track"
)

// scope is the instrumentation scope of the spans.
const scope = "smithproxy_exporter"

// messageSpans bounds the spans of an encoded message, so that a message is much smaller than a request.
const messageSpans = 64

// SinkMetrics counts traces. Its methods are called from the goroutine that calls Take.
type SinkMetrics interface {
	// TraceSampled counts a trace, by one of Samplings.
	TraceSampled(why string)
	// SpansUnsampled counts spans that are not made because their trace is left out.
	SpansUnsampled(n int)
}

// SinkOptions are the options of NewSink.
type SinkOptions struct {
	Config SpanConfig
	// Requests bounds the http.request events of a span.
	Requests int
	Metrics  SinkMetrics
	// Network returns the name of a client's network, "" if it has none. nil knows none.
	Network func(host string) string
	// Places finds where servers are; nil if that is not known.
	Places geo.Locator
}

// Sink turns facts into spans. It is not safe for concurrent use.
type Sink struct {
	sampler *sampler
	metrics SinkMetrics
	peers   *peers // nil unless there are client spans
	network func(host string) string
	places  geo.Locator // nil if there is none
	limits  sdktrace.SpanLimits
	base    *resource.Resource
	scope   *commonpb.InstrumentationScope
	sources map[string]*proxySpans
	// made are the proxies with new spans, in the order in which the spans were created.
	made    []*proxySpans
	encoded []byte
}

// proxySpans are the new spans of a proxy, and its resource.
type proxySpans struct {
	resource *resourcepb.Resource
	spans    []*tracepb.Span
}

// NewSink returns a Sink. It uses the OTEL_* variables of the SDK for resource, sampler and limits.
func NewSink(ctx context.Context, o SinkOptions) (*Sink, error) {
	base, err := resource.New(ctx,
		resource.WithAttributes(semconv.ServiceName("smithproxy")),
		resource.WithTelemetrySDK(),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("resource: %w", err)
	}
	sampler, err := newSampler(o.Config.Sampling)
	if err != nil {
		return nil, err
	}
	limits := sdktrace.NewSpanLimits()
	if _, set := os.LookupEnv("OTEL_SPAN_EVENT_COUNT_LIMIT"); !set {
		limits.EventCountLimit = max(limits.EventCountLimit, o.Requests)
	}
	s := &Sink{
		sampler: sampler, metrics: o.Metrics, limits: limits, base: base, scope: &commonpb.InstrumentationScope{Name: scope},
		sources: map[string]*proxySpans{}, network: o.Network, places: o.Places,
	}
	if s.network == nil {
		s.network = func(string) string { return "" }
	}
	if o.Config.ClientSpan.Enabled {
		s.peers = newPeers(o.Config.ClientSpan, s.network)
	}
	// Fail here if the environment has invalid UTF-8, which cannot be encoded.
	if _, err := proto.Marshal(s.resource("")); err != nil {
		return nil, fmt.Errorf("resource: %w", err)
	}
	return s, nil
}

// Take creates the spans of a fact.
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

// Encoded visits the spans since the last call, as encoded ResourceSpans messages with the number of spans in each. A
// message is valid during the visit.
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

// Sampled reports whether the trace of a connection is kept, as far as that is known at the given time.
func (s *Sink) Sampled(c *track.Connection, at time.Time) bool {
	return s.sampler.keepsAll() || s.sampler.connection(c, at) != unsampled
}

// sampling returns why the trace of a connection is kept. Whether it is, the tracker has asked before.
func (s *Sink) sampling(c *track.Connection, at time.Time) Sampling {
	if c.Unsampled {
		return unsampled
	}
	why := s.sampler.connection(c, at)
	if why == unsampled {
		return sampledOpen
	}
	return why
}

// leaveOut counts the spans of a trace that is left out.
func (s *Sink) leaveOut(d *track.Decision) {
	n := 1
	if d != nil {
		n++
	}
	s.metrics.SpansUnsampled(n)
}

// add adds a span of a proxy, whose trace is kept for the given reason.
func (s *Sink) add(source string, why Sampling, span *tracepb.Span) {
	span.TraceState = s.sampler.stateFor(why)
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

// resource returns the resource of a proxy. The attributes that identify the proxy override those of the environment.
func (s *Sink) resource(source string) *resourcepb.Resource {
	own := resource.NewSchemaless(semconv.ServiceInstanceID(source), semconv.HostName(source))
	merged, err := resource.Merge(s.base, own)
	if err != nil {
		merged = own // Only schema URLs can conflict, and one side has none.
	}
	return &resourcepb.Resource{Attributes: encodeAttributes(merged.Attributes(), -1, -1)}
}
