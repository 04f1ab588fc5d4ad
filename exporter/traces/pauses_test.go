package traces

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// script is a client without a network, so that tests can use a clock of their own.
type script struct {
	steps    atomic.Int64 // of the test: what it did before happens before the requests that follow
	requests []time.Time
	names    []string // of spans that were accepted, in order
	// answer is a gRPC error for the names of a request's spans; nil accepts.
	answer func(names []string) error
}

func (*script) Start(context.Context) error { return nil }
func (*script) Stop(context.Context) error  { return nil }

func (c *script) UploadTraces(ctx context.Context, messages []*tracepb.ResourceSpans) error {
	var names []string
	for _, m := range messages {
		encoded, err := proto.Marshal(m)
		if err != nil {
			return err
		}
		var decoded tracepb.ResourceSpans
		if err := proto.Unmarshal(encoded, &decoded); err != nil {
			return err
		}
		for _, s := range decoded.GetScopeSpans()[0].GetSpans() {
			names = append(names, s.GetName())
		}
	}
	c.steps.Load()
	c.requests = append(c.requests, time.Now())
	if err := c.answer(names); err != nil {
		*responseOf(ctx) = fromStatus(status.Convert(err))
		return err
	}
	*responseOf(ctx) = response{verdict: accepted}
	c.names = append(c.names, names...)
	return nil
}

// withClock runs a test of a sender that has a client without a network and a clock of its own.
func withClock(t *testing.T, test func(t *testing.T, s *sendingTo, c *script)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &script{answer: func([]string) error { return nil }}
		s := &sendingTo{tally: newTally(), queue: newQueue(), log: &bytes.Buffer{}}
		s.Sender = NewSender(c, s.queue, s.tally, slog.New(slog.NewTextHandler(s.log, nil)))
		test(t, s, c)
	})
}

// pass lets time pass until all goroutines wait.
func (c *script) pass(d time.Duration) {
	c.steps.Add(1)
	time.Sleep(d)
	synctest.Wait()
}

func unavailableFor(d time.Duration) func([]string) error {
	back := time.Now().Add(d)
	return func([]string) error {
		if time.Now().Before(back) {
			return status.Error(codes.Unavailable, "down")
		}
		return nil
	}
}

// TestBackendIsBack: whatever waits is sent soon after, however long the backend was away, and however little waits.
func TestBackendIsBack(t *testing.T) {
	for _, spans := range []int{1, 4 * maxRequestSpans} {
		withClock(t, func(t *testing.T, s *sendingTo, c *script) {
			c.answer = unavailableFor(time.Hour)
			s.fill(t, spans)
			s.start(t)
			c.pass(time.Hour)
			if n := len(c.requests); n < 600 || n > 800 {
				t.Errorf("%d requests in an hour, want one every 5 s", n)
			}
			c.pass(15 * time.Second)
			if s.exported != spans {
				t.Errorf("%d of %d spans are sent 15 s after the backend is back", s.exported, spans)
			}
			if n := strings.Count(s.log.String(), "level=WARN"); n != 1 {
				t.Errorf("%d warnings:\n%s", n, s.log)
			}
			s.close(t, time.Minute)
		})
	}
}

func TestPausesDouble(t *testing.T) {
	withClock(t, func(t *testing.T, s *sendingTo, c *script) {
		c.answer = unavailableFor(20 * time.Second)
		s.queue.add(t, "a")
		s.start(t)
		c.pass(time.Minute)
		for i, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second} {
			if got := c.requests[i+1].Sub(c.requests[i]); got < want || got > want*11/10 {
				t.Errorf("pause %d is %v, want %v and up to a tenth", i, got, want)
			}
		}
		s.close(t, time.Minute)
	})
}

func TestRetryInfoIsHonoured(t *testing.T) {
	withClock(t, func(t *testing.T, s *sendingTo, c *script) {
		asks, err := status.New(codes.ResourceExhausted, "later").WithDetails(
			&errdetails.RetryInfo{RetryDelay: durationpb.New(2 * time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		c.answer = func([]string) error {
			if len(c.requests) == 1 {
				return asks.Err()
			}
			return nil
		}
		s.queue.add(t, "a")
		s.start(t)
		c.pass(time.Hour)
		if len(c.requests) != 2 || c.requests[1].Sub(c.requests[0]) != 2*time.Minute {
			t.Errorf("requests at %v, want two, 2 min apart", c.requests)
		}
		s.close(t, time.Minute)
	})
}

func TestRefusedCredentialsAreTriedSlowly(t *testing.T) {
	withClock(t, func(t *testing.T, s *sendingTo, c *script) {
		c.answer = func([]string) error { return status.Error(codes.PermissionDenied, "no") }
		s.fill(t, 100)
		s.start(t)
		c.pass(time.Hour)
		if n := len(c.requests); n < 50 || n > 130 {
			t.Errorf("%d requests in an hour, want one every 30 s", n)
		}
		c.answer = func([]string) error { return nil }
		c.pass(operatorPause)
		if s.exported != 100 || strings.Count(s.log.String(), "level=WARN") != 1 {
			t.Errorf("%d spans are sent; logged:\n%s", s.exported, s.log)
		}
		s.close(t, time.Minute)
	})
}

// TestRejectedForHours has a backend that rejects everything for hours, and then nothing.
func TestRejectedForHours(t *testing.T) {
	withClock(t, func(t *testing.T, s *sendingTo, c *script) {
		const spans = 4 * maxRequestSpans
		c.answer = func([]string) error { return status.Error(codes.Internal, "no") }
		s.fill(t, spans)
		s.start(t)
		c.pass(6 * time.Hour)
		if n := len(c.requests); n < 6*60 || n > 6*300 {
			t.Errorf("%d requests in six hours", n)
		}
		if n := strings.Count(s.log.String(), "level=WARN"); n != 1 || s.refused != 0 {
			t.Errorf("%d spans are dropped, %d warnings:\n%s", s.refused, n, s.log)
		}
		c.answer = func([]string) error { return nil }
		c.pass(2 * operatorPause)
		if s.exported != spans {
			t.Errorf("%d of %d spans are sent a minute after the backend accepts again", s.exported, spans)
		}
		s.close(t, time.Minute)
	})
}

// TestPoisonInEveryPart has so much of a batch be rejected that no half of it is accepted.
func TestPoisonInEveryPart(t *testing.T) {
	withClock(t, func(t *testing.T, s *sendingTo, c *script) {
		const messages = 32
		c.answer = rejectNamed("poison")
		for i := range messages {
			if i%4 == 3 {
				s.queue.add(t, "good")
			} else {
				s.queue.add(t, "poison")
			}
		}
		// The first ones of the batch are rejected one by one, until the backend is taken to reject everything.
		c.answer = func(names []string) error {
			if len(c.requests) < 10 {
				return status.Error(codes.InvalidArgument, "bad")
			}
			return rejectNamed("poison")(names)
		}
		s.start(t)
		c.pass(time.Hour)
		if s.exported != messages/4 || s.refused != messages-messages/4 {
			t.Errorf("%d good spans are sent, %d bad ones dropped after %d requests", s.exported, s.refused, len(c.requests))
		}
		s.close(t, time.Minute)
	})
}

// TestGoodSpansAreKept has more bad spans in a batch than can be found at once: no other is dropped with them.
func TestGoodSpansAreKept(t *testing.T) {
	withClock(t, func(t *testing.T, s *sendingTo, c *script) {
		c.answer = rejectNamed("poison")
		const bad = maxRequestSpans / 100
		for i := range maxRequestSpans {
			if i%100 == 50 {
				s.queue.add(t, "poison")
			} else {
				s.queue.add(t, "good")
			}
		}
		s.start(t)
		c.pass(6 * time.Hour)
		if s.refused != bad || s.exported != maxRequestSpans-bad {
			t.Errorf("%d are sent, %d dropped, want %d dropped", s.exported, s.refused, bad)
		}
		s.close(t, time.Minute)
	})
}

// TestMostOfAMessageIsBad has more bad spans in one message than the budget allows to find one by one.
func TestMostOfAMessageIsBad(t *testing.T) {
	withClock(t, func(t *testing.T, s *sendingTo, c *script) {
		c.answer = rejectNamed("poison")
		spans := slices.Repeat([]string{"poison"}, messageSpans)
		spans[5], spans[50] = "good", "good"
		s.queue.add(t, spans...)
		s.queue.add(t, "good")
		s.start(t)
		c.pass(time.Hour)
		if left, _ := s.queue.Pending(); s.refused != messageSpans-2 || s.exported != 3 || left != 0 {
			t.Errorf("%d are sent, %d dropped, %d left after %d requests", s.exported, s.refused, left, len(c.requests))
		}
		s.close(t, time.Minute)
	})
}

// TestTooLargeAndRejected has a backend reject everything that is not too large for it: nothing shows that
// the spans are bad.
func TestTooLargeAndRejected(t *testing.T) {
	withClock(t, func(t *testing.T, s *sendingTo, c *script) {
		c.answer = func(names []string) error {
			if len(names) > 10 {
				return status.Error(codes.ResourceExhausted, "grpc: received message larger than max (1 vs. 0)")
			}
			return status.Error(codes.InvalidArgument, "no tenant")
		}
		s.fill(t, 300)
		s.start(t)
		c.pass(time.Hour)
		if left, _ := s.queue.Pending(); left != 300 || s.refused != 0 || len(c.requests) > 3000 {
			t.Errorf("%d are left, %d dropped after %d requests", left, s.refused, len(c.requests))
		}
		s.close(t, time.Minute)
	})
}

// TestPoisonOfOneProxy has more than a request's worth of messages be rejected, oldest first, while more come.
func TestPoisonOfOneProxy(t *testing.T) {
	withClock(t, func(t *testing.T, s *sendingTo, c *script) {
		c.answer = rejectNamed("poison")
		for range 2 * maxRequestSpans / messageSpans {
			s.queue.add(t, slices.Repeat([]string{"poison"}, messageSpans)...)
		}
		s.start(t)
		for range 60 {
			s.queue.add(t, "good")
			c.pass(time.Minute)
		}
		if n := len(c.names); n < 59 {
			t.Errorf("%d of 60 spans of other proxies are sent", n)
		}
		// To find a bad span takes two requests at most when all are bad, beside the search for messages.
		if n := len(c.requests); n > 2*2*maxRequestSpans+60*isolateRequests {
			t.Errorf("%d requests in an hour", n)
		}
		s.close(t, time.Minute)
	})
}

// watchedQueue counts reads, hides messages up to an id, and blocks on demand.
type watchedQueue struct {
	*memoryQueue
	reads  atomic.Int64
	hidden atomic.Uint64
	block  chan struct{} // nil does not block
}

func (q *watchedQueue) Spans(after uint64, visit func(uint64, int, []byte) bool) error {
	if q.reads.Add(1) > 100_000 {
		return errors.New("too many reads") // after which the sender pauses, so that the test ends
	}
	if q.block != nil {
		<-q.block
	}
	return q.memoryQueue.Spans(max(after, q.hidden.Load()), visit)
}

// TestHeldMessagesHoldUpNoOthers has the backend not respond to one message: what comes while that is held is sent.
func TestHeldMessagesHoldUpNoOthers(t *testing.T) {
	withClock(t, func(t *testing.T, s *sendingTo, c *script) {
		c.answer = func(names []string) error {
			if slices.Contains(names, "stuck") {
				return status.Error(codes.Unavailable, "down")
			}
			return nil
		}
		s.queue.add(t, "stuck")
		s.start(t)
		const minutes = 300
		for range minutes {
			s.queue.add(t, "good")
			c.pass(time.Minute)
		}
		if len(c.names) < minutes*9/10 {
			t.Errorf("%d of %d good messages are sent", len(c.names), minutes)
		}
		s.close(t, time.Minute)
	})
}

// TestHeldMessagesGo has the store drop, at its bound, what the sender holds.
func TestHeldMessagesGo(t *testing.T) {
	withClock(t, func(t *testing.T, s *sendingTo, c *script) {
		q := &watchedQueue{memoryQueue: s.queue}
		s.Sender.queue = q
		c.answer = func([]string) error { return status.Error(codes.InvalidArgument, "no") }
		s.queue.add(t, "a")
		s.start(t)
		c.pass(time.Hour)
		if err := s.queue.RemoveSpans([]uint64{1}); err != nil {
			t.Fatal(err)
		}
		before := q.reads.Load()
		c.pass(time.Hour)
		if n := q.reads.Load() - before; n > 1000 {
			t.Errorf("the queue was read %d times in an hour, though nothing is in it", n)
		}
		if n := len(s.held); n != 0 {
			t.Errorf("%d messages are held that are gone", n)
		}
		s.close(t, time.Minute)
	})
}

// TestDroppedMessagesAreNotSent has the store drop, at its bound, some of a batch that is sent again and again.
func TestDroppedMessagesAreNotSent(t *testing.T) {
	for _, code := range []codes.Code{codes.Unavailable, codes.Unauthenticated} {
		withClock(t, func(t *testing.T, s *sendingTo, c *script) {
			c.answer = func([]string) error { return status.Error(code, "no") }
			s.queue.add(t, "dropped")
			s.queue.add(t, "kept")
			s.start(t)
			c.pass(3 * time.Second)
			if err := s.queue.RemoveSpans([]uint64{1}); err != nil {
				t.Fatal(err)
			}
			c.answer = func([]string) error { return nil }
			c.pass(operatorPause)
			if !slices.Equal(c.names, []string{"kept"}) {
				t.Errorf("%v: %v are sent", code, c.names)
			}
			s.close(t, time.Minute)
		})
	}
}

// TestMessagesComeBack has the disk go away and come back: what is on it is not visited meanwhile, what is newer is.
func TestMessagesComeBack(t *testing.T) {
	for name, traffic := range map[string]bool{"quiet": false, "busy": true} {
		t.Run(name, func(t *testing.T) {
			withClock(t, func(t *testing.T, s *sendingTo, c *script) {
				q := &watchedQueue{memoryQueue: s.queue}
				s.Sender.queue = q
				s.queue.add(t, "on disk")
				q.hidden.Store(1)
				s.start(t)
				s.queue.add(t, "in memory")
				c.pass(time.Minute)
				if !slices.Equal(c.names, []string{"in memory"}) {
					t.Fatalf("%v are sent", c.names)
				}
				q.hidden.Store(0)
				for range 100 {
					if traffic {
						s.queue.add(t, "more")
					}
					c.pass(100 * time.Millisecond)
				}
				if !slices.Contains(c.names, "on disk") {
					t.Errorf("what was on the disk is not sent, only %d others", len(c.names))
				}
				s.close(t, time.Minute)
			})
		})
	}
}

// TestCloseWhileTheDiskHangs: what hangs is not waited for.
func TestCloseWhileTheDiskHangs(t *testing.T) {
	withClock(t, func(t *testing.T, s *sendingTo, _ *script) {
		q := &watchedQueue{memoryQueue: s.queue, block: make(chan struct{})}
		s.Sender.queue = q
		s.queue.add(t, "a")
		s.start(t)
		synctest.Wait()
		begin := time.Now()
		s.close(t, time.Second)
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("Close took %v", took)
		}
		close(q.block)
	})
}
