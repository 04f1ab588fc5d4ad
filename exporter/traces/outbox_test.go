package traces

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// backend is an otlptrace.Client that answers as it is told, and keeps what it accepted.
type backend struct {
	mu       sync.Mutex
	answer   func(attempt int) error
	attempts int
	accepted []string // names of spans
	largest  int      // spans in one request
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
	n := 0
	for _, rs := range batches {
		for _, s := range rs.GetScopeSpans()[0].GetSpans() {
			b.accepted = append(b.accepted, s.GetName())
			n++
		}
	}
	b.largest = max(b.largest, n)
	return nil
}

// meter counts.
type meter struct {
	mu                        sync.Mutex
	exported, failed, pending int
	dropped                   map[string]int
}

func newMeter() *meter { return &meter{dropped: map[string]int{}} }

func (m *meter) SpansExported(n int) { m.mu.Lock(); defer m.mu.Unlock(); m.exported += n }
func (m *meter) SpansFailed(n int)   { m.mu.Lock(); defer m.mu.Unlock(); m.failed += n }
func (m *meter) SpansPending(n int)  { m.mu.Lock(); defer m.mu.Unlock(); m.pending = n }
func (m *meter) SpansDropped(reason string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dropped[reason] += n
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

func start(t *testing.T, b *backend, m *meter) *Outbox {
	t.Helper()
	o := NewOutbox(b, m, slog.New(slog.DiscardHandler))
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
				if m.exported != 2 || m.pending != 0 || len(m.dropped) != 0 || m.failed != 2*(b.attempts-1) {
					t.Errorf("counted %+v after %d attempts", m, b.attempts)
				}
				if b.attempts > 200 {
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
		if m.pending != 3 {
			t.Errorf("%d pending, want 3", m.pending)
		}
		close(hang)
		synctest.Wait()
		if m.pending != 0 || m.exported != 3 {
			t.Errorf("counted %+v", m)
		}
		if err := o.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestOutboxGivesUpWhatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := &backend{}, newMeter()
		b.answer = func(attempt int) error {
			if attempt == 1 {
				return errors.Join(status.Error(codes.InvalidArgument, "bad span"))
			}
			return nil
		}
		o := start(t, b, m)
		put(t, o, spansOf("a", "bad"))
		synctest.Wait()
		put(t, o, spansOf("a", "good"))
		synctest.Wait()
		if m.dropped[DroppedRefused] != 1 || m.exported != 1 {
			t.Errorf("counted %+v", m)
		}
		if err := o.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestOutboxIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := &backend{}, newMeter()
		b.answer = func(int) error { return status.Error(codes.Unavailable, "gone") }
		o := start(t, b, m)
		name := strings.Repeat("x", 1<<20)
		for range 2 * maxOutboxBytes >> 20 {
			put(t, o, spansOf("a", name))
		}
		synctest.Wait()
		if o.bytes > maxOutboxBytes {
			t.Errorf("holds %d bytes", o.bytes)
		}
		if m.dropped[DroppedFull] == 0 {
			t.Error("nothing was dropped")
		}
		stop, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := o.Stop(stop); err != nil {
			t.Error(err)
		}
		if got, want := m.dropped[DroppedFull]+m.dropped[DroppedStop], 2*maxOutboxBytes>>20; got != want {
			t.Errorf("%d spans are accounted for, want %d", got, want)
		}
	})
}

func TestOutboxBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := &backend{}, newMeter()
		o := NewOutbox(b, m, slog.New(slog.DiscardHandler))
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

func TestOutboxKeepsBatchesUnderTheLimitOfGRPC(t *testing.T) {
	o := NewOutbox(&backend{}, newMeter(), slog.New(slog.DiscardHandler))
	for range 10 {
		put(t, o, spansOf("a", strings.Repeat("x", 1<<20)))
	}
	for batch := o.take(); len(batch) > 0; batch = o.take() {
		size := 0
		for _, p := range batch {
			size += p.bytes
		}
		if size > maxBatchBytes {
			t.Errorf("a batch has %d bytes", size)
		}
	}
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
