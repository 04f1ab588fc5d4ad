package traces

import (
	"maps"
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	// isolateRequests bounds the requests for finding the messages that a backend rejects, and again those for finding
	// the spans in them. A single span among maxRequestSpans takes two for each halving, 22. A message that was started is
	// completed beyond that, with at most two requests a span, because partial results are not kept.
	isolateRequests = 40
	// maxHeld bounds how long a rejected message waits for its next attempt, and how long a round takes if the queue does
	// not become empty.
	maxHeld = 5 * time.Minute
)

// held is the state of a message that was rejected and is not resolved.
type held struct {
	until time.Time
	pause time.Duration
	// round is the last round that found the message in the queue.
	round uint64
	// accepted is Sender.accepted when the message was last rejected.
	accepted uint64
}

// isolate bisects a rejected batch to isolate the spans that the backend rejects, within a budget of requests. Accepted
// messages are removed from the queue. A span that is rejected alone is dropped if the backend accepted something else
// since the batch was first rejected, or reports that the span is too large. Unresolved messages are held: they are sent
// again later, and newer messages are sent meanwhile. A backend that rejects everything gets two requests a pause, and
// nothing is dropped. isolate returns false if the sender is stopped.
func (s *Sender) isolate(batch []message, first response) bool {
	i := isolation{sender: s, budget: isolateRequests, hopeless: bits.Len(uint(len(batch))) + 2}
	if s.state == refusing {
		batch = i.probe(batch)
	}
	i.messages(batch, first.verdict)
	unresolved := i.unknown
	i.budget = isolateRequests
	for _, m := range i.alone {
		switch {
		case i.stopped:
			return false
		case i.failed, !i.blames(m, m.verdict), !i.spans(m):
			unresolved = append(unresolved, m.message)
		}
	}
	s.hold(unresolved)
	if i.dropped > 0 && time.Since(s.warnedDropped) > warnEvery {
		s.warnedDropped = time.Now()
		s.logger.Error("Backend rejects spans while it accepts others, they are dropped", "spans", i.dropped, "err", first.err)
	}
	switch {
	case i.stopped:
		return false
	case i.failed:
		return s.wait(s.backOff(maxPause))
	case i.successes == 0 && len(unresolved) > 0:
		s.enter(refusing, "Backend rejects spans and accepts no others, they are kept and sent again later", first.err)
		return s.wait(s.backOff(operatorPause))
	}
	return true
}

// suspect is a message that was rejected alone, with the verdict.
type suspect struct {
	message
	verdict verdict
}

// isolation is one search.
type isolation struct {
	sender    *Sender
	budget    int // requests that are left
	hopeless  int // after so many rejections, and no success, the backend counts as rejecting everything
	requests  int
	successes int
	dropped   int
	// alone are messages that were rejected alone, unknown are messages that were only rejected together with others.
	alone   []suspect
	unknown []message
	stopped bool
	failed  bool // the backend went away meanwhile
}

// probe sends one random message of a batch to a backend that rejected everything so far, and returns the rest. The
// search continues only if the message is accepted.
func (i *isolation) probe(batch []message) (rest []message) {
	n := rand.N(len(batch))
	if len(batch) == 1 || i.judge(i.sender.send(batch[n:n+1])) != accepted {
		i.budget = 0
		return batch
	}
	i.sender.succeed(batch[n : n+1])
	return slices.Delete(slices.Clone(batch), n, n+1)
}

// blames reports whether a rejection is due to the message: it is too large, or the backend accepts others, in this
// search or since the message was first rejected.
func (i *isolation) blames(m suspect, v verdict) bool {
	h, ok := i.sender.held[m.id]
	return v == tooLarge || i.successes > 0 || ok && i.sender.state == sending && i.sender.accepted > h.accepted
}

// over reports whether the search has to end.
func (i *isolation) over() bool {
	return i.budget <= 0 || i.failed || i.stopped || i.successes == 0 && i.requests >= i.hopeless
}

// messages bisects a batch that was rejected with a verdict.
func (i *isolation) messages(batch []message, v verdict) {
	if len(batch) == 1 {
		i.alone = append(i.alone, suspect{batch[0], v})
		return
	}
	for _, half := range [][]message{batch[:len(batch)/2], batch[len(batch)/2:]} {
		if i.over() {
			i.unknown = append(i.unknown, half...)
			continue
		}
		switch v := i.judge(i.sender.send(half)); v {
		case accepted:
			i.sender.remove(half)
		case rejected, tooLarge:
			i.messages(half, v)
		default:
			i.unknown = append(i.unknown, half...)
		}
	}
}

// judge updates the state of the search by a response, and returns its verdict.
func (i *isolation) judge(r response) verdict {
	i.budget--
	i.requests++
	switch r.verdict {
	case accepted:
		i.successes++
	case unavailable, unauthorized:
		i.failed = true
	}
	select {
	case <-i.sender.ctx.Done():
		i.stopped = true
	default:
	}
	return r.verdict
}

// spans bisects one message, drops the spans of it that are rejected alone, and reports whether it is resolved: all of
// its spans are accepted or dropped.
func (i *isolation) spans(m suspect) (resolved bool) {
	if i.budget <= 0 && m.spans > 1 {
		return false
	}
	var decoded tracepb.ResourceSpans
	if err := proto.Unmarshal(m.encoded, &decoded); err != nil {
		i.sender.metrics.SpansDropped(DroppedDamaged, m.spans)
		i.sender.remove([]message{m.message})
		return true
	}
	for _, scope := range decoded.GetScopeSpans() {
		part := &tracepb.ScopeSpans{Scope: scope.GetScope(), SchemaUrl: scope.GetSchemaUrl()}
		request := []*tracepb.ResourceSpans{{
			Resource: decoded.GetResource(), SchemaUrl: decoded.GetSchemaUrl(), ScopeSpans: []*tracepb.ScopeSpans{part},
		}}
		send := func(spans []*tracepb.Span) verdict {
			part.Spans = spans
			return i.judge(i.sender.request(request, len(spans)))
		}
		if spans := scope.GetSpans(); len(spans) > 0 && !i.bisect(m, spans, m.verdict, send) {
			return false
		}
	}
	i.sender.remove([]message{m.message})
	return true
}

// bisect bisects spans of a message that were rejected together, drops those that are rejected alone, and reports
// whether all are accepted or dropped.
func (i *isolation) bisect(m suspect, spans []*tracepb.Span, v verdict, send func([]*tracepb.Span) verdict) (resolved bool) {
	if len(spans) == 1 {
		if !i.blames(m, v) {
			return false
		}
		i.dropped++
		i.sender.metrics.SpansDropped(DroppedRefused, 1)
		return true
	}
	for _, half := range [][]*tracepb.Span{spans[:len(spans)/2], spans[len(spans)/2:]} {
		if i.failed || i.stopped {
			return false
		}
		switch v := send(half); v {
		case accepted:
		case rejected, tooLarge:
			if !i.bisect(m, half, v, send) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// hold makes messages wait for a later round. The wait doubles each time if the backend accepted others meanwhile; if it
// did not, the rejection may not be due to the messages.
func (s *Sender) hold(messages []message) {
	for _, m := range messages {
		h, ok := s.held[m.id]
		switch {
		case !ok:
			h = &held{pause: maxPause}
			s.held[m.id] = h
		case s.accepted > h.accepted:
			h.pause = min(2*h.pause, maxHeld)
		}
		h.until, h.accepted, h.round = s.rewound.Add(h.pause), s.accepted, s.round
	}
}

// forgetGone removes held messages that a whole round did not find: the queue has dropped them.
func (s *Sender) forgetGone() {
	maps.DeleteFunc(s.held, func(_ uint64, h *held) bool { return h.round != s.round })
}
