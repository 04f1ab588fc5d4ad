package traces

import (
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/traceid"
	"smithproxy_exporter/exporter/track"
)

const (
	// nameAccess is the span of an access-request.
	nameAccess = "access-request"
	// nameOpen is the span of a connection that lasts.
	nameOpen = "open"
	// nameRequest is the span event of one request that the L7 engine saw.
	nameRequest = "http.request"
)

// connection makes the trace of one connection: the root span, and below it its access-request.
func (s *Sink) connection(c *track.Connection) {
	id := traceid.Of(c.Source, c.ID)
	start, estimated := c.Start()
	tracer := s.tracer(c.Source)
	ctx, root := tracer.Start(withID(context.Background(), id), spanName(c),
		trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(start),
		trace.WithAttributes(connectionAttributes(c)...))
	if c.Reason == track.ReasonLost || c.Reason == track.ReasonRestart {
		root.SetStatus(codes.Error, "the end of the connection is not known")
	}
	if estimated {
		root.SetAttributes(keyEstimated.Bool(true))
	}
	addRequests(root, c)
	if c.Decision != nil {
		// The proxy can act on an answer, and say so, before the time of the answer is taken.
		d := *c.Decision
		d.Received, d.Answered = earlier(d.Received, c.End()), earlier(d.Answered, c.End())
		access(ctx, tracer, id.Child(nameAccess), &d)
	}
	root.End(trace.WithTimestamp(c.End()))
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// unclaimed makes the trace of a decision whose connection never became known. Its span says all that is
// known of the connection, for there is no other.
func (s *Sink) unclaimed(d *track.Decision) {
	access(context.Background(), s.tracer(d.Source), traceid.OfDecision(d.Source, d.Label, d.Received), d,
		sessionAttributes(d.Session, "")...)
}

// access makes the span of an access-request: a child where the context has a span, else a root.
func access(ctx context.Context, tracer trace.Tracer, id traceid.ID, d *track.Decision, more ...attribute.KeyValue) {
	a := attributes(more)
	a.add(keyVerdict.String(string(d.Verdict)), keyRule.String(d.Rule), keyDecision.String(d.ID),
		keySession.String(d.Label))
	a.dryRun(d)
	if d.Policy != event.PolicyUnknown {
		a.add(keyPolicy.Int(d.Policy))
	}
	_, span := tracer.Start(withID(ctx, id), nameAccess, trace.WithSpanKind(trace.SpanKindInternal),
		trace.WithTimestamp(d.Received), trace.WithAttributes(a...))
	span.End(trace.WithTimestamp(d.Answered))
}

// late makes a child span of what came after its connection's root span was made.
func (s *Sink) late(l track.Late) {
	// More than one can come; the time tells them apart.
	name := string(l.Action)
	s.child(l.C, name, name+"/"+strconv.FormatInt(l.At.UnixNano(), 10), l.At, l.At)
}

// stillOpen makes a child span of what is known of a connection that lasts, for its root span can only be
// made when it is over.
func (s *Sink) stillOpen(o track.StillOpen) {
	start, estimated := o.C.Start()
	var more []attribute.KeyValue
	if estimated {
		more = append(more, keyEstimated.Bool(true))
	}
	s.child(o.C, nameOpen, nameOpen+"/"+strconv.FormatInt(o.At.UnixNano(), 10), earlier(start, o.At), o.At, more...)
}

// child makes a span below a root span that was made before, or will be. unique tells it apart from all
// others of its connection.
func (s *Sink) child(c *track.Connection, name, unique string, start, end time.Time, more ...attribute.KeyValue) {
	id := traceid.Of(c.Source, c.ID)
	parent := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID(id.Trace), SpanID: trace.SpanID(id.Span), TraceFlags: trace.FlagsSampled,
		Remote: true,
	})
	ctx := withID(trace.ContextWithRemoteSpanContext(context.Background(), parent), id.Child(unique))
	_, span := s.tracer(c.Source).Start(ctx, name, trace.WithSpanKind(trace.SpanKindInternal),
		trace.WithTimestamp(start), trace.WithAttributes(append(connectionAttributes(c), more...)...))
	addRequests(span, c)
	span.End(trace.WithTimestamp(end))
}

// spanName is of low cardinality: the application, else what the connection ran over. Never anything
// that a client chose.
func spanName(c *track.Connection) string {
	if app := c.App(); app != "" {
		return app
	}
	if t := transport(c); t != event.TransportUnknown {
		return string(t)
	}
	return "connection"
}

// transport is what the latest complete label says, else what the start said.
func transport(c *track.Connection) event.Transport {
	if t := c.Session.Transport(); t != event.TransportUnknown {
		return t
	}
	if c.Stop != nil && c.Stop.TLS {
		return event.TLS
	}
	return event.TransportUnknown
}

func addRequests(span trace.Span, c *track.Connection) {
	if c.Stop == nil {
		return
	}
	at := trace.WithTimestamp(c.StoppedAt)
	for _, url := range c.Stop.Details {
		span.AddEvent(nameRequest, at, trace.WithAttributes(semconv.URLFull(url)))
	}
}
