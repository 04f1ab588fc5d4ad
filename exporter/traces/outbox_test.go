package traces

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// backend is an otlptrace.Client that answers as it is told, and keeps what it accepted.
type backend struct {
	mu       sync.Mutex
	answer   func(attempt int) error
	attempts int
	accepted []string // names of spans
	largest  int      // spans in one request
	bytes    int      // of the largest request
	refuse   func(names []string) error
}

func (b *backend) Start(context.Context) error { return nil }
func (b *backend) Stop(context.Context) error  { return nil }

func (b *backend) UploadTraces(_ context.Context, batches []*tracepb.ResourceSpans) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.attempts++
	if b.answer != nil {
		if err := b.answer(b.attempts); err != nil {
			return err
		}
	}
	var names []string
	size := 0
	for _, rs := range batches {
		size += proto.Size(rs)
		for _, s := range rs.GetScopeSpans()[0].GetSpans() {
			names = append(names, s.GetName())
		}
	}
	if b.refuse != nil {
		if err := b.refuse(names); err != nil {
			return err
		}
	}
	b.accepted = append(b.accepted, names...)
	b.largest, b.bytes = max(b.largest, len(names)), max(b.bytes, size)
	return nil
}

// meter counts.
type meter struct {
	mu               sync.Mutex
	exported, failed int
	dropped          map[string]int
}

func newMeter() *meter { return &meter{dropped: map[string]int{}} }

func (m *meter) SpansExported(n int) { m.mu.Lock(); defer m.mu.Unlock(); m.exported += n }
func (m *meter) SpansFailed(n int)   { m.mu.Lock(); defer m.mu.Unlock(); m.failed += n }
func (m *meter) SpansDropped(reason string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropped[reason] += n
}

// shelf is a Store that outlives an outbox, and refuses when it is full.
type shelf struct {
	mu         sync.Mutex
	payloads   [][]byte
	spans      []int
	read, done int // how many payloads
	full       bool
}

func (s *shelf) Append(payloads [][]byte, spans []int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		return errors.New("no space left")
	}
	s.payloads, s.spans = append(s.payloads, payloads...), append(s.spans, spans...)
	return nil
}

func (s *shelf) Next(maxBytes, maxSpans int) (payloads [][]byte, mark uint64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bytes, spans := 0, 0
	for ; s.read < len(s.payloads); s.read++ {
		bytes, spans = bytes+len(s.payloads[s.read]), spans+s.spans[s.read]
		if len(payloads) > 0 && (bytes > maxBytes || spans > maxSpans) {
			break
		}
		payloads = append(payloads, s.payloads[s.read])
	}
	return payloads, uint64(s.read), nil
}

func (s *shelf) Done(mark uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = int(mark)
	return nil
}

func (s *shelf) Weight() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, spans := range s.spans[s.done:] {
		n += spans
	}
	return int64(n)
}

// reopened is what a new process finds.
func (s *shelf) reopened() *shelf {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &shelf{payloads: s.payloads, spans: s.spans, read: s.done, done: s.done}
}

func spansOf(source string, names ...string) []*tracepb.ResourceSpans {
	resource := &resourcepb.Resource{Attributes: []*commonpb.KeyValue{{
		Key: "host.name", Value: &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: source}},
	}}}
	ss := &tracepb.ScopeSpans{Scope: &commonpb.InstrumentationScope{Name: scope}}
	for _, n := range names {
		ss.Spans = append(ss.Spans, &tracepb.Span{Name: n})
	}
	return []*tracepb.ResourceSpans{{Resource: resource, ScopeSpans: []*tracepb.ScopeSpans{ss}}}
}

func start(t *testing.T, b *backend, m *meter) *Outbox { return startOn(t, b, &shelf{}, m) }

func startOn(t *testing.T, b *backend, s *shelf, m *meter) *Outbox {
	t.Helper()
	o := NewOutbox(b, s, m, slog.New(slog.DiscardHandler))
	if err := o.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return o
}

func put(t *testing.T, o *Outbox, spans []*tracepb.ResourceSpans) {
	t.Helper()
	if err := o.UploadTraces(t.Context(), spans); err != nil {
		t.Fatal(err)
	}
}

func TestOutboxTriesUntilAccepted(t *testing.T) {
	for _, code := range []codes.Code{
		codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Unauthenticated, codes.Internal,
	} {
		t.Run(code.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, m := &backend{}, newMeter()
				began := time.Now()
				b.answer = func(int) error {
					if time.Since(began) < time.Hour {
						return status.Error(code, "not now")
					}
					return nil
				}
				o := start(t, b, m)
				put(t, o, spansOf("a", "one", "two"))
				time.Sleep(time.Hour + maxPause)
				synctest.Wait()
				if got := strings.Join(b.accepted, " "); got != "one two" {
					t.Errorf("accepted %q", got)
				}
				if m.exported != 2 || o.Pending() != 0 || len(m.dropped) != 0 {
					t.Errorf("counted %+v after %d attempts", m, b.attempts)
				}
				// What is too much at once is tried with less.
				if code != codes.ResourceExhausted && m.failed != 2*(b.attempts-1) {
					t.Errorf("%d failed in %d attempts", m.failed, b.attempts)
				}
				if b.attempts > 300 {
					t.Errorf("%d attempts in an hour", b.attempts)
				}
				if err := o.Stop(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestOutboxCountsWhatIsUnderWay has the backend hang: what it was sent is not accepted yet.
func TestOutboxCountsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := &backend{}, newMeter()
		hang := make(chan struct{})
		b.answer = func(int) error { <-hang; return nil }
		o := start(t, b, m)
		put(t, o, spansOf("a", "one"))
		synctest.Wait()
		put(t, o, spansOf("a", "two", "three"))
		if o.Pending() != 3 {
			t.Errorf("%d pending, want 3", o.Pending())
		}
		close(hang)
		synctest.Wait()
		if o.Pending() != 0 || m.exported != 3 {
			t.Errorf("counted %+v", m)
		}
		if err := o.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestRefusedSpanIsFound has a bad span among many: it goes, and all others arrive, in order.
func TestRefusedSpanIsFound(t *testing.T) {
	for _, bad := range []int{0, 1, 77, 499} {
		t.Run(strconv.Itoa(bad), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const spans = 500
				b, m := &backend{}, newMeter()
				b.refuse = func(names []string) error {
					if slices.Contains(names, "bad") {
						return status.Error(codes.InvalidArgument, "bad span")
					}
					return nil
				}
				names := make([]string, spans)
				var want []string
				for i := range names {
					names[i] = strconv.Itoa(i)
					if i == bad {
						names[i] = "bad"
					} else {
						want = append(want, names[i])
					}
				}
				o := start(t, b, m)
				put(t, o, spansOf("a", names...))
				synctest.Wait()
				if !slices.Equal(b.accepted, want) {
					t.Errorf("accepted %d spans, want all but the bad one, in order", len(b.accepted))
				}
				if m.dropped[DroppedRefused] != 1 || m.exported != spans-1 || b.attempts > 60 {
					t.Errorf("counted %+v after %d attempts", m, b.attempts)
				}
				if err := o.Stop(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestRequestIsTooLarge has a backend whose limit is lower than gRPC's own, and a span above it.
func TestRequestIsTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := &backend{}, newMeter()
		b.refuse = func(names []string) error {
			if len(names) > 10 || slices.Contains(names, "huge") {
				return status.Error(codes.ResourceExhausted, "grpc: received message larger than max (5 vs. 4)")
			}
			return nil
		}
		names := slices.Repeat([]string{"x"}, 50)
		names[20] = "huge"
		o := start(t, b, m)
		put(t, o, spansOf("a", names...))
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(b.accepted) != 49 || m.dropped[DroppedRefused] != 1 || o.Pending() != 0 {
			t.Errorf("%d accepted, %d pending, dropped %v", len(b.accepted), o.Pending(), m.dropped)
		}
		if err := o.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestRetryInfoIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := &backend{}, newMeter()
		s, err := status.New(codes.ResourceExhausted, "later").WithDetails(
			&errdetails.RetryInfo{RetryDelay: durationpb.New(2 * time.Minute)})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var after time.Duration
		b.answer = func(attempt int) error {
			if attempt == 1 {
				return s.Err()
			}
			after = time.Since(began)
			return nil
		}
		o := start(t, b, m)
		put(t, o, spansOf("a", "one"))
		time.Sleep(time.Hour)
		synctest.Wait()
		if after != 2*time.Minute {
			t.Errorf("tried again after %v, want when it was asked to", after)
		}
		if err := o.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestSpansOutliveTheOutbox stops while the backend is gone.
func TestSpansOutliveTheOutbox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone, m, s := &backend{}, newMeter(), &shelf{}
		gone.answer = func(int) error { return status.Error(codes.Unavailable, "gone") }
		o := startOn(t, gone, s, m)
		put(t, o, spansOf("a", "one", "two"))
		put(t, o, spansOf("b", "three"))
		if err := o.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		b := &backend{}
		o = startOn(t, b, s.reopened(), m)
		synctest.Wait()
		if got := strings.Join(b.accepted, " "); got != "one two three" || len(m.dropped) > 0 {
			t.Errorf("accepted %q, dropped %v", got, m.dropped)
		}
		if err := o.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestDiskIsFull keeps spans in memory, within a bound, until the disk takes them.
func TestDiskIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m, s := &backend{}, newMeter(), &shelf{full: true}
		b.answer = func(int) error { return status.Error(codes.Unavailable, "gone") }
		o := NewOutbox(b, s, m, slog.New(slog.DiscardHandler))
		const spans = 2 * maxMemory >> 20
		for range spans {
			if err := o.UploadTraces(t.Context(), spansOf("a", strings.Repeat("x", 1<<20))); !errors.Is(err, errMemory) {
				t.Fatalf("UploadTraces() = %v, want %v", err, errMemory)
			}
		}
		if o.bytes > maxMemory || m.dropped[DroppedFull] != spans-o.Pending() {
			t.Errorf("%d bytes in memory, %d spans pending, dropped %v", o.bytes, o.Pending(), m.dropped)
		}
		left := o.Pending()
		s.full = false
		put(t, o, spansOf("a", "one more"))
		if o.bytes != 0 || s.Weight() != int64(left+1) {
			t.Errorf("%d bytes in memory, %d spans on disk, want all %d there", o.bytes, s.Weight(), left+1)
		}
	})
}

// TestDiskStaysFull sends out of memory, and counts what is lost at the end.
func TestDiskStaysFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m, s := &backend{}, newMeter(), &shelf{full: true}
		b.answer = func(attempt int) error {
			if attempt > 1 {
				return status.Error(codes.Unavailable, "gone")
			}
			return nil
		}
		o := startOn(t, b, s, m)
		_ = o.UploadTraces(t.Context(), spansOf("a", "one"))
		synctest.Wait()
		_ = o.UploadTraces(t.Context(), spansOf("a", "two", "three"))
		synctest.Wait()
		if err := o.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if got := strings.Join(b.accepted, " "); got != "one" || m.dropped[DroppedStop] != 2 {
			t.Errorf("accepted %q, dropped %v", got, m.dropped)
		}
	})
}

func TestOutboxBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := &backend{}, newMeter()
		o := NewOutbox(b, &shelf{}, m, slog.New(slog.DiscardHandler))
		for range 2 * maxBatchSpans {
			put(t, o, spansOf("a", "x"))
		}
		if err := o.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := o.Stop(t.Context()); err != nil { // sends what waits
			t.Error(err)
		}
		if len(b.accepted) != 2*maxBatchSpans || b.largest != maxBatchSpans {
			t.Errorf("%d spans accepted, at the most %d at once", len(b.accepted), b.largest)
		}
	})
}

// TestBatchesAreUnderTheLimitOfGRPC has one payload that is larger than a request may be.
func TestBatchesAreUnderTheLimitOfGRPC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := &backend{}, newMeter()
		o := start(t, b, m)
		put(t, o, spansOf("a", slices.Repeat([]string{strings.Repeat("x", 1<<20)}, 40)...))
		if err := o.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if len(b.accepted) != 40 || b.bytes > 4<<20 {
			t.Errorf("%d spans accepted, at the most %d bytes at once", len(b.accepted), b.bytes)
		}
	})
}

func TestConfigured(t *testing.T) {
	for _, name := range endpointVariables {
		t.Setenv(name, "")
	}
	if Configured("") {
		t.Error("configured by nothing")
	}
	if !Configured("localhost:4317") {
		t.Error("not configured by an endpoint")
	}
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317")
	if !Configured("") {
		t.Error("not configured by the environment")
	}
}
