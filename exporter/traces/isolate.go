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
	// isolateRequests is how many requests it may take to find the messages that a backend rejects, and again to find
	// the spans in them. A single span among maxRequestSpans takes two for each halving, 22. A message that was begun is
	// finished beyond that, in two requests a span at most: what was done of it is not remembered.
	isolateRequests = 40
	// maxHeld bounds how long a message that was not accepted waits for its next attempt, and how long a round takes if
	// the queue has no end.
	maxHeld = 5 * time.Minute
)

// held is a message that was rejected and not resolved.
type held struct {
	until time.Time
	pause time.Duration
	// round is the last one that came across the message.
	round uint64
	// accepted is how many requests the backend had accepted when the message was rejected last.
	accepted uint64
}

// isolate bisects a batch that was rejected, to find what of it the backend rejects, within a budget of requests. What
// is accepted is removed. A span that is rejected alone is dropped, if the backend accepted something else after the
// batch was rejected first, or says that the span is too large. What is not resolved is held: it is sent again later,
// and meanwhile what comes after it is sent. A backend that rejects everything gets two requests a pause, and all is
// kept. isolate returns false when the sender is stopped.
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

// suspect is a message that was rejected alone, and how.
type suspect struct {
	message
	verdict verdict
}

// isolation is one search.
type isolation struct {
	sender    *Sender
	budget    int // requests that are left
	hopeless  int // rejections in a row, from the first on, after which the backend is taken to reject everything
	requests  int
	successes int
	dropped   int
	// alone are messages that were rejected alone, unknown are those that were rejected with others only.
	alone   []suspect
	unknown []message
	stopped bool
	failed  bool // the backend went away meanwhile
}

// probe sends one message of a batch, picked at random, to a backend that rejected everything so far, and returns the
// rest. The search goes on only if the message is accepted.
func (i *isolation) probe(batch []message) (rest []message) {
	n := rand.N(len(batch))
	if len(batch) == 1 || i.judge(i.sender.send(batch[n:n+1])) != accepted {
		i.budget = 0
		return batch
	}
	i.sender.succeed(batch[n : n+1])
	return slices.Delete(slices.Clone(batch), n, n+1)
}

// blames reports whether a verdict says something about the message: it is too large, or the backend accepts something
// else, in this search, or both before it and since the message was rejected first.
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

// judge notes what a response says of the backend.
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

// bisect is for spans of a message that were rejected together with a verdict.
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

// hold has messages wait for a later round: longer each time, if the backend accepted others meanwhile. If it did not,
// nothing says that the messages are to blame.
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

// forgetGone forgets messages that are held and that a whole round did not come across: the queue dropped them.
func (s *Sender) forgetGone() {
	maps.DeleteFunc(s.held, func(_ uint64, h *held) bool { return h.round != s.round })
}
