package traces

import (
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/traceid"
	"smithproxy_exporter/exporter/track"
)

const (
	// nameAccess is the span of an access-request.
	nameAccess = "access-request"
	// nameClient is the span of the server side of a connection.
	nameClient = "connect"
	// nameOpen is the span of a connection that is still open.
	nameOpen = "open"
	// nameRequest is the span event of one request that the L7 engine saw.
	nameRequest = "http.request"
)

// flags are the flags of a span in a sampled trace whose id is random and whose parent is not remote.
const flags = 1 | 2 | uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)

// unknownEnds are the causes for which the end of a connection is not known, and the status messages that say why.
var unknownEnds = map[track.Cause]string{
	track.CauseAbsence:  "no stop: the connection was missing from two lists of the proxy",
	track.CauseReplaced: "no stop: the proxy gave the id to another connection",
	track.CauseInfo:     "no stop: the proxy only sent connection-info",
	track.CauseRestart:  "no stop: the proxy restarted or was shut down",
	track.CauseIdle:     "no stop, and no sign of life for connections.idle_timeout",
	track.CauseDown:     "no stop: the proxy was down for proxies.down_timeout",
	track.CauseEvicted:  "no stop: the exporter had no room for the connection",
}

// connection creates the trace of a finished connection: the root span, and a child span for its access-request.
func (s *Sink) connection(c *track.Connection) {
	start, startEstimated := c.Start()
	end, endEstimated := c.End()
	why := s.sampling(c, end)
	s.metrics.TraceSampled(string(why))
	if why == unsampled {
		s.leaveOut(c.Decision)
		return
	}
	id := traceid.Of(c.Source, c.Name())
	a := s.connectionAttributes(c)
	if startEstimated {
		a.add(keyStartEstimated.Bool(true))
	}
	if endEstimated {
		a.add(keyEndEstimated.Bool(true))
	}
	if s.peers != nil {
		a.add(keyPeerService.String(s.peers.client(c.Session())))
	}
	root := s.span(id, nil, spanName(c), tracepb.Span_SPAN_KIND_SERVER, start, end, a)
	if message, unknown := unknownEnds[c.Cause]; unknown {
		root.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: message}
	}
	s.addRequests(root, c)
	if s.peers != nil && c.Reason() != track.ReasonRejected { // a rejected connection has no server side
		s.client(c, why, root, id, start, end)
	}
	if c.Decision != nil {
		// The proxy can act on the answer, and report the end, before the time of the answer is recorded.
		d := *c.Decision
		d.Received, d.Answered = earlier(d.Received, end), earlier(d.Answered, end)
		s.add(c.Source, why, s.access(id.Child(nameAccess), id.Span[:], &d))
	}
	s.add(c.Source, why, root)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// unclaimed creates the trace of a decision that matched no connection. Its span has the attributes of the connection,
// because there is no other span.
func (s *Sink) unclaimed(d *track.Decision) {
	id := traceid.OfDecision(d.Source, d.Label, d.Received)
	why := s.sampler.decision(d, id)
	s.metrics.TraceSampled(string(why))
	if why == unsampled {
		s.leaveOut(nil)
		return
	}
	s.add(d.Source, why, s.access(id, nil, d, s.sessionAttributes(d.Session(), "")...))
}

// access returns the span of an access-request: a child of parent, or a root span if parent is nil.
func (s *Sink) access(id traceid.ID, parent []byte, d *track.Decision, more ...attribute.KeyValue) *tracepb.Span {
	a := attributes(more)
	a.add(keyVerdict.String(string(d.Verdict)), keyRule.String(d.Rule), keyDecision.String(d.ID),
		keySession.String(d.Label))
	a.dryRun(d)
	if d.Policy != event.PolicyUnknown {
		a.policy(d.Policy)
	}
	return s.span(id, parent, nameAccess, tracepb.Span_SPAN_KIND_INTERNAL, d.Received, d.Answered, a)
}

// late creates a child span for an event that was received after the root span was created.
func (s *Sink) late(l track.Late) {
	if l.C.Unsampled {
		s.leaveOut(nil)
		return
	}
	// There can be several; the time makes their ids differ.
	name := string(l.Action)
	s.child(l.C, s.sampling(l.C, l.At), name, name+"/"+strconv.FormatInt(l.At.UnixNano(), 10), l.At, l.At, s.connectionAttributes(l.C))
}

// stillOpen creates a child span for an open connection, whose root span is created when it has ended. The tracker emits
// the fact only if the trace is kept.
func (s *Sink) stillOpen(o track.StillOpen) {
	start, estimated := o.C.Start()
	a := s.connectionAttributes(o.C)
	if estimated {
		a.add(keyStartEstimated.Bool(true))
	}
	s.child(o.C, s.sampling(o.C, o.At), nameOpen, nameOpen+"/"+strconv.FormatInt(o.At.UnixNano(), 10), earlier(start, o.At), o.At, a)
}

// child creates a child of a root span that was or will be created. unique is unique among the child spans of the
// connection.
func (s *Sink) child(c *track.Connection, why Sampling, name, unique string, start, end time.Time, a attributes) {
	id := traceid.Of(c.Source, c.Name())
	span := s.span(id.Child(unique), id.Span[:], name, tracepb.Span_SPAN_KIND_INTERNAL, start, end, a)
	span.Flags |= uint32(tracepb.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
	s.addRequests(span, c)
	s.add(c.Source, why, span)
}

func (s *Sink) span(id traceid.ID, parent []byte, name string, kind tracepb.Span_SpanKind, start, end time.Time, a attributes) *tracepb.Span {
	encoded := encodeAttributes(a, s.limits.AttributeCountLimit, s.limits.AttributeValueLengthLimit)
	return &tracepb.Span{
		TraceId: id.Trace[:], SpanId: id.Span[:], ParentSpanId: parent, Flags: flags, Name: name, Kind: kind,
		StartTimeUnixNano: nanoseconds(start), EndTimeUnixNano: nanoseconds(end),
		Attributes: encoded, DroppedAttributesCount: uint32(len(a) - len(encoded)),
		Status: &tracepb.Status{},
	}
}

func nanoseconds(at time.Time) uint64 { return uint64(max(0, at.UnixNano())) }

// spanName returns a name of low cardinality: the application, or else the transport. It never contains text that a
// client chose.
func spanName(c *track.Connection) string {
	if app := c.App(); app != "" {
		return app
	}
	if t := transport(c); t != event.TransportUnknown {
		return string(t)
	}
	return "connection"
}

// transport returns the transport of the most complete label, or TLS if the stop says so.
func transport(c *track.Connection) event.Transport {
	if t := c.Session().Transport(); t != event.TransportUnknown {
		return t
	}
	if c.Stop != nil && c.Stop.TLS {
		return event.TLS
	}
	return event.TransportUnknown
}

// addRequests adds a span event for each request, for the last ones if there are more than the limit.
func (s *Sink) addRequests(span *tracepb.Span, c *track.Connection) {
	if c.Stop == nil {
		return
	}
	urls := c.Stop.Details
	if most := s.limits.EventCountLimit; most >= 0 && len(urls) > most {
		span.DroppedEventsCount = uint32(len(urls) - most)
		urls = urls[len(urls)-most:]
	}
	at := nanoseconds(c.StoppedAt())
	for _, url := range urls {
		attributes := []attribute.KeyValue{semconv.URLFull(url)}
		span.Events = append(span.Events, &tracepb.Span_Event{
			TimeUnixNano: at, Name: nameRequest,
			Attributes: encodeAttributes(attributes, s.limits.AttributePerEventCountLimit, s.limits.AttributeValueLengthLimit),
		})
	}
}
