package traces

import (
	"math/bits"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

const (
	// isolateRequests is how many requests it may take to find what a backend rejects. A single span among
	// maxRequestSpans takes two for each halving, 22.
	isolateRequests = 40
	// maxHeld bounds how long a message that is rejected waits for its next attempt.
	maxHeld = 5 * time.Minute
)

// held is a message that was rejected and not resolved.
type held struct {
	until time.Time
	pause time.Duration
	// accepted is how many requests the backend had accepted when the message was rejected last.
	accepted uint64
}

// isolate bisects a batch that was rejected, to find what of it the backend rejects, within a budget of requests. What
// is accepted is removed. A span that is rejected alone is dropped, if the backend accepted something else after the
// batch was rejected first, or says that the span is too large. What is not resolved is held: it is sent again later,
// and meanwhile what comes after it is sent. A backend that rejects everything gets one request a pause, and all is
// kept. isolate returns false when the sender is stopped.
func (s *Sender) isolate(batch []message, first response) bool {
	i := isolation{sender: s, budget: isolateRequests, hopeless: bits.Len(uint(len(batch))) + 2}
	if s.state == refusing {
		i.budget = 0 // what it rejects has been looked for
	}
	suspects := i.messages(batch)
	var unresolved []message
	for _, m := range suspects {
		switch {
		case i.stopped:
			return false
		case i.failed, !i.proven(m) && first.verdict != tooLarge, !i.spans(m):
			unresolved = append(unresolved, m)
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

// isolation is one search.
type isolation struct {
	sender    *Sender
	budget    int // requests that are left
	hopeless  int // rejections in a row, from the first on, after which the backend is taken to reject everything
	requests  int
	successes int
	dropped   int
	stopped   bool
	failed    bool // the backend went away meanwhile
}

// proven reports whether the backend accepted something else since the message was rejected first.
func (i *isolation) proven(m message) bool {
	h, ok := i.sender.held[m.id]
	return i.successes > 0 || ok && i.sender.accepted > h.accepted
}

// over reports whether the search has to end.
func (i *isolation) over() bool {
	return i.budget <= 0 || i.failed || i.stopped || i.successes == 0 && i.requests >= i.hopeless
}

// messages bisects a batch that is known to be rejected, and returns the messages that are rejected alone or were not
// looked at.
func (i *isolation) messages(batch []message) (suspects []message) {
	if len(batch) == 1 || i.over() {
		return batch
	}
	for _, half := range [][]message{batch[:len(batch)/2], batch[len(batch)/2:]} {
		if i.over() {
			suspects = append(suspects, half...)
			continue
		}
		switch i.judge(i.sender.send(half)) {
		case accepted:
			i.sender.remove(half)
		case rejected, tooLarge:
			suspects = append(suspects, i.messages(half)...)
		default:
			suspects = append(suspects, half...)
		}
	}
	return suspects
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
func (i *isolation) spans(m message) (resolved bool) {
	var decoded tracepb.ResourceSpans
	if err := proto.Unmarshal(m.encoded, &decoded); err != nil {
		i.sender.metrics.SpansDropped(DroppedDamaged, m.spans)
		i.sender.remove([]message{m})
		return true
	}
	for _, scope := range decoded.GetScopeSpans() {
		if !i.bisect(&decoded, scope, scope.GetSpans()) {
			return false
		}
	}
	i.sender.remove([]message{m})
	return true
}

func (i *isolation) bisect(of *tracepb.ResourceSpans, scope *tracepb.ScopeSpans, spans []*tracepb.Span) (resolved bool) {
	if len(spans) == 1 {
		i.dropped++
		i.sender.metrics.SpansDropped(DroppedRefused, 1)
		return true
	}
	for _, half := range [][]*tracepb.Span{spans[:len(spans)/2], spans[len(spans)/2:]} {
		if i.budget <= 0 || i.failed || i.stopped {
			return false
		}
		part := &tracepb.ResourceSpans{
			Resource: of.GetResource(), SchemaUrl: of.GetSchemaUrl(),
			ScopeSpans: []*tracepb.ScopeSpans{{Scope: scope.GetScope(), SchemaUrl: scope.GetSchemaUrl(), Spans: half}},
		}
		switch i.judge(i.sender.request([]*tracepb.ResourceSpans{part}, len(half))) {
		case accepted:
		case rejected, tooLarge:
			if !i.bisect(of, scope, half) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// hold has messages wait for their next attempt, longer each time.
func (s *Sender) hold(messages []message) {
	for _, m := range messages {
		h, ok := s.held[m.id]
		if !ok {
			h = &held{}
			s.held[m.id] = h
		}
		h.pause = min(max(2*h.pause, maxPause), maxHeld)
		h.until, h.accepted = time.Now().Add(h.pause), s.accepted
	}
}

// heldDue reports whether a message that is held is to be sent again.
func (s *Sender) heldDue() bool {
	next, ok := s.nextHeld()
	return ok && !time.Now().Before(next)
}

// nextHeld is when the first of the messages that are held is due.
func (s *Sender) nextHeld() (at time.Time, ok bool) {
	for _, h := range s.held {
		if !ok || h.until.Before(at) {
			at, ok = h.until, true
		}
	}
	return at, ok
}
