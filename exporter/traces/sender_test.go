package traces

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// memoryQueue is a queue in memory.
type memoryQueue struct {
	mu       sync.Mutex
	messages []message
	next     uint64
	added    chan struct{}
}

func newQueue() *memoryQueue { return &memoryQueue{added: make(chan struct{}, 1)} }

// add takes a message with a span of each name.
func (q *memoryQueue) add(t testing.TB, names ...string) {
	t.Helper()
	rs := &tracepb.ResourceSpans{ScopeSpans: []*tracepb.ScopeSpans{{}}}
	for _, name := range names {
		rs.ScopeSpans[0].Spans = append(rs.ScopeSpans[0].Spans, &tracepb.Span{Name: name, TraceId: make([]byte, 16), SpanId: make([]byte, 8)})
	}
	encoded, err := proto.Marshal(rs)
	if err != nil {
		t.Fatal(err)
	}
	q.mu.Lock()
	q.next++
	q.messages = append(q.messages, message{q.next, len(names), encoded})
	q.mu.Unlock()
	select {
	case q.added <- struct{}{}:
	default:
	}
}

func (q *memoryQueue) Spans(after uint64, visit func(uint64, int, []byte) bool) error {
	q.mu.Lock()
	waiting := slices.Clone(q.messages)
	q.mu.Unlock()
	for _, m := range waiting {
		if m.id > after && !visit(m.id, m.spans, m.encoded) {
			break
		}
	}
	return nil
}

func (q *memoryQueue) RemoveSpans(ids []uint64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.messages = slices.DeleteFunc(q.messages, func(m message) bool { return slices.Contains(ids, m.id) })
	return nil
}

func (q *memoryQueue) SpansAdded() <-chan struct{} { return q.added }

func (q *memoryQueue) Pending() (spans int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return count(q.messages), 0
}

// tally counts, and wakes those that wait for a count.
type tally struct {
	mu                        sync.Mutex
	changed                   *sync.Cond
	exported, failed, refused int
}

func newTally() *tally {
	c := &tally{}
	c.changed = sync.NewCond(&c.mu)
	return c
}

func (c *tally) add(to *int, n int) {
	c.mu.Lock()
	*to += n
	c.mu.Unlock()
	c.changed.Broadcast()
}

func (c *tally) SpansExported(n int)          { c.add(&c.exported, n) }
func (c *tally) SpansFailed(n int)            { c.add(&c.failed, n) }
func (c *tally) SpansDropped(_ string, n int) { c.add(&c.refused, n) }

func (c *tally) await(so func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !so() {
		c.changed.Wait()
	}
}

// backend is a server of both protocols that answers as it is told.
type backend struct {
	coltracepb.UnimplementedTraceServiceServer
	mu       sync.Mutex
	requests int
	last     *coltracepb.ExportTraceServiceRequest
	names    map[string]int // of spans that were accepted
	// answer is the error for the names of a request's spans; nil accepts. A partial success is a *partialError.
	answer func(names []string) error
}

type partialError struct {
	rejected int
	message  string
}

func (*partialError) Error() string { return "partial success" }

func (b *backend) export(request *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	var names []string
	for _, rs := range request.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				names = append(names, s.GetName())
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.requests, b.last = b.requests+1, request
	response := &coltracepb.ExportTraceServiceResponse{}
	if b.answer != nil {
		err := b.answer(names)
		if p := new(partialError); errors.As(err, &p) {
			response.PartialSuccess = &coltracepb.ExportTracePartialSuccess{RejectedSpans: int64(p.rejected), ErrorMessage: p.message}
		} else if err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		b.names[name]++
	}
	return response, nil
}

func (b *backend) Export(_ context.Context, r *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	return b.export(r)
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		body, _ = gzip.NewReader(body)
	}
	raw, _ := io.ReadAll(body)
	var request coltracepb.ExportTraceServiceRequest
	if r.URL.Path != "/v1/traces" || proto.Unmarshal(raw, &request) != nil {
		http.Error(w, "no spans", http.StatusNotFound)
		return
	}
	response, err := b.export(&request)
	if err != nil {
		for code, httpCode := range map[codes.Code]int{
			codes.InvalidArgument: 400, codes.Unavailable: 503, codes.Unauthenticated: 401, codes.ResourceExhausted: 413,
		} {
			if status.Code(err) == code {
				w.Header().Set("Retry-After", "0")
				http.Error(w, err.Error(), httpCode)
			}
		}
		return
	}
	encoded, _ := proto.Marshal(response)
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(encoded)
}

func (b *backend) set(answer func([]string) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer, b.requests = answer, 0
}

func (b *backend) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.requests
}

// sending is a sender between a queue and a backend.
type sendingTo struct {
	*Sender
	*tally
	queue   *memoryQueue
	backend *backend
	log     *bytes.Buffer
}

// forEachProtocol runs a test with a real server of each protocol.
func forEachProtocol(t *testing.T, test func(t *testing.T, s *sendingTo)) {
	for _, protocol := range []string{protocolGRPC, protocolHTTP} {
		t.Run(protocol, func(t *testing.T) {
			b := &backend{names: map[string]int{}}
			test(t, connect(t, protocol, serve(t, protocol, b), b))
		})
	}
}

func serve(t *testing.T, protocol string, b *backend) (url string) {
	t.Helper()
	if protocol == protocolHTTP {
		server := httptest.NewServer(b)
		t.Cleanup(server.Close)
		return server.URL
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	coltracepb.RegisterTraceServiceServer(server, b)
	go func() { _ = server.Serve(listener) }() // until Stop
	t.Cleanup(server.Stop)
	return "http://" + listener.Addr().String()
}

func connect(t *testing.T, protocol, url string, b *backend) *sendingTo {
	t.Helper()
	client, err := NewClient(Config{Protocol: protocol, Endpoint: url})
	if err != nil {
		t.Fatal(err)
	}
	s := &sendingTo{tally: newTally(), queue: newQueue(), backend: b, log: &bytes.Buffer{}}
	s.Sender = NewSender(client, s.queue, s.tally, slog.New(slog.NewTextHandler(s.log, nil)))
	return s
}

func (s *sendingTo) start(t *testing.T) {
	t.Helper()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
}

func (s *sendingTo) close(t *testing.T, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Errorf("Close() = %v: nothing is lost", err)
	}
}

func names(from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprint("span-", i))
	}
	return all
}

func (s *sendingTo) fill(t *testing.T, spans int) {
	for i := 0; i < spans; i += messageSpans {
		s.queue.add(t, names(i, min(spans, i+messageSpans))...)
	}
}

func TestSpansAreSentAsTheyAreStored(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, s *sendingTo) {
		s.fill(t, 5000)
		s.start(t)
		s.await(func() bool { return s.exported == 5000 })
		s.queue.add(t, "one more")
		s.await(func() bool { return s.exported == 5001 })
		s.close(t, time.Minute)
		for _, name := range append(names(0, 5000), "one more") {
			if n := s.backend.names[name]; n != 1 {
				t.Fatalf("%s arrived %d times", name, n)
			}
		}
		if left, _ := s.queue.Pending(); left != 0 {
			t.Errorf("%d spans are left in the queue", left)
		}
	})
}

func TestPartialSuccessIsCountedOnce(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, s *sendingTo) {
		s.backend.set(func(names []string) error { return &partialError{3, "3 spans are too old"} })
		s.queue.add(t, names(0, 10)...)
		s.start(t)
		s.await(func() bool { return s.exported+s.refused == 10 })
		s.queue.add(t, names(10, 20)...)
		s.await(func() bool { return s.exported+s.refused == 20 })
		s.close(t, time.Minute)
		if s.exported != 14 || s.refused != 6 {
			t.Errorf("%d exported, %d refused, want 14 and 6", s.exported, s.refused)
		}
		if n := strings.Count(s.log.String(), "3 spans are too old"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, s.log)
		}
	})
}

func rejectNamed(bad string) func([]string) error {
	return func(names []string) error {
		if slices.Contains(names, bad) {
			return status.Error(codes.InvalidArgument, "bad span")
		}
		return nil
	}
}

func TestOneBadSpanIsIsolated(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, s *sendingTo) {
		s.backend.set(rejectNamed("span-1234"))
		s.fill(t, 2048)
		s.start(t)
		s.await(func() bool { return s.exported == 2047 && s.refused == 1 })
		s.close(t, time.Minute)
		// The batch, and two for each of 11 halvings.
		if n := s.backend.count(); n > 25 {
			t.Errorf("it took %d requests", n)
		}
		if n := strings.Count(s.log.String(), "level="); n != 1 {
			t.Errorf("%d lines were logged:\n%s", n, s.log)
		}
	})
}

func TestBackendThatRejectsEverything(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, s *sendingTo) {
		s.backend.set(func([]string) error { return status.Error(codes.InvalidArgument, "no tenant") })
		s.fill(t, 2048)
		s.start(t)
		s.await(func() bool { return s.failed > 2048 })
		s.close(t, time.Second)
		if left, _ := s.queue.Pending(); left != 2048 || s.refused != 0 {
			t.Errorf("%d spans are left, %d dropped", left, s.refused)
		}
		if n := s.backend.count(); n > 12 {
			t.Errorf("%d requests within a second", n)
		}
		if n := strings.Count(s.log.String(), "level=WARN"); n != 1 {
			t.Errorf("%d warnings:\n%s", n, s.log)
		}
	})
}

// TestPoisonDoesNotBlockOthers has a message that is rejected come first, alone: what comes after it is sent, and proves
// that the backend accepts others; then the message is taken apart.
func TestPoisonDoesNotBlockOthers(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, s *sendingTo) {
		s.backend.set(rejectNamed("poison"))
		s.queue.add(t, "poison", "good")
		s.start(t)
		s.await(func() bool { return s.failed > 0 })
		s.queue.add(t, "later")
		s.await(func() bool { return s.exported == 2 && s.refused == 1 })
		s.close(t, time.Minute)
		if left, _ := s.queue.Pending(); left != 0 || s.backend.names["good"] != 1 || s.backend.names["later"] != 1 {
			t.Errorf("%d are left, %v arrived", left, s.backend.names)
		}
	})
}

func TestCredentialsAreRefused(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, s *sendingTo) {
		s.backend.set(func([]string) error { return status.Error(codes.Unauthenticated, "no token") })
		s.fill(t, 100)
		s.start(t)
		s.await(func() bool { return s.failed > 0 })
		s.close(t, time.Second)
		if left, _ := s.queue.Pending(); left != 100 || s.backend.count() != 1 {
			t.Errorf("%d are left after %d requests", left, s.backend.count())
		}
		if !strings.Contains(s.log.String(), "check otlp.headers") {
			t.Errorf("logged:\n%s", s.log)
		}
	})
}

// TestLimitOfTheBackendIsLearned has a backend take 100 spans at once, and any number later.
func TestLimitOfTheBackendIsLearned(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, s *sendingTo) {
		s.backend.set(func(names []string) error {
			if len(names) > 100 {
				return status.Error(codes.ResourceExhausted, "grpc: received message larger than max (1 vs. 0)")
			}
			return nil
		})
		s.fill(t, 2048)
		s.start(t)
		s.await(func() bool { return s.exported == 2048 })
		s.backend.set(nil)
		s.fill(t, 40_000)
		s.await(func() bool { return s.exported == 42_048 })
		requests := s.backend.count()
		s.close(t, time.Minute)
		if s.refused != 0 || s.most != maxRequestSpans {
			t.Errorf("%d dropped; at the end %d spans go at once, want %d again (%d requests)", s.refused, s.most, maxRequestSpans, requests)
		}
	})
}

func TestSpanThatIsTooLargeAlone(t *testing.T) {
	forEachProtocol(t, func(t *testing.T, s *sendingTo) {
		s.backend.set(func(names []string) error {
			if slices.Contains(names, "huge") {
				return status.Error(codes.ResourceExhausted, "grpc: received message larger than max (1 vs. 0)")
			}
			return nil
		})
		s.queue.add(t, "a", "huge", "b", "c")
		s.start(t)
		s.await(func() bool { return s.exported == 3 && s.refused == 1 })
		s.close(t, time.Minute)
	})
}

// TestCloseLosesNothing closes with backends that take nothing.
func TestCloseLosesNothing(t *testing.T) {
	block := make(chan struct{})
	defer close(block)
	for name, answer := range map[string]func([]string) error{
		"unavailable": func([]string) error { return status.Error(codes.Unavailable, "down") },
		"rejecting":   func([]string) error { return status.Error(codes.InvalidArgument, "no") },
	} {
		t.Run(name, func(t *testing.T) {
			forEachProtocol(t, func(t *testing.T, s *sendingTo) {
				s.backend.set(answer)
				s.fill(t, 100)
				s.start(t)
				s.await(func() bool { return s.failed > 0 })
				s.close(t, time.Minute)
				if left, _ := s.queue.Pending(); left != 100 {
					t.Errorf("%d are left", left)
				}
			})
		})
	}
	t.Run("hanging", func(t *testing.T) {
		forEachProtocol(t, func(t *testing.T, s *sendingTo) {
			asked, release := make(chan struct{}, 10), make(chan struct{})
			s.backend.set(func([]string) error { asked <- struct{}{}; <-release; return nil })
			s.fill(t, 100)
			s.start(t)
			<-asked
			begin := time.Now()
			s.close(t, 100*time.Millisecond)
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("Close took %v", took)
			}
			close(release)
			if left, _ := s.queue.Pending(); left != 100 {
				t.Errorf("%d are left", left)
			}
		})
	})
	t.Run("nobody listens", func(t *testing.T) {
		for _, protocol := range []string{protocolGRPC, protocolHTTP} {
			s := connect(t, protocol, "http://127.0.0.1:1", &backend{})
			s.fill(t, 100)
			s.start(t)
			s.await(func() bool { return s.failed > 0 })
			s.close(t, time.Minute)
			if left, _ := s.queue.Pending(); left != 100 {
				t.Errorf("%d are left", left)
			}
		}
	})
}

func TestResponses(t *testing.T) {
	retry, err := status.New(codes.ResourceExhausted, "slow down").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(7 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		got     response
		verdict verdict
		pause   time.Duration
	}{
		"cancelled":            {fromStatus(status.New(codes.Canceled, "")), unavailable, 0},
		"deadline":             {fromStatus(status.New(codes.DeadlineExceeded, "")), unavailable, 0},
		"aborted":              {fromStatus(status.New(codes.Aborted, "")), unavailable, 0},
		"out of range":         {fromStatus(status.New(codes.OutOfRange, "")), unavailable, 0},
		"unavailable":          {fromStatus(status.New(codes.Unavailable, "")), unavailable, 0},
		"data loss":            {fromStatus(status.New(codes.DataLoss, "")), unavailable, 0},
		"exhausted":            {fromStatus(status.New(codes.ResourceExhausted, "quota")), rejected, 0},
		"exhausted, RetryInfo": {fromStatus(retry), unavailable, 7 * time.Second},
		"message too large":    {fromStatus(status.New(codes.ResourceExhausted, "grpc: received message larger than max (5 vs. 4)")), tooLarge, 0},
		"unknown":              {fromStatus(status.New(codes.Unknown, "")), rejected, 0},
		"invalid":              {fromStatus(status.New(codes.InvalidArgument, "")), rejected, 0},
		"not found":            {fromStatus(status.New(codes.NotFound, "")), rejected, 0},
		"exists":               {fromStatus(status.New(codes.AlreadyExists, "")), rejected, 0},
		"precondition":         {fromStatus(status.New(codes.FailedPrecondition, "")), rejected, 0},
		"unimplemented":        {fromStatus(status.New(codes.Unimplemented, "")), rejected, 0},
		"internal":             {fromStatus(status.New(codes.Internal, "")), rejected, 0},
		"unauthenticated":      {fromStatus(status.New(codes.Unauthenticated, "")), unauthorized, 0},
		"permission":           {fromStatus(status.New(codes.PermissionDenied, "")), unauthorized, 0},
		"200":                  {fromHTTP(200, "", nil, nil), accepted, 0},
		"429, Retry-After":     {fromHTTP(429, "", http.Header{"Retry-After": {"9"}}, nil), unavailable, 9 * time.Second},
		"502":                  {fromHTTP(502, "", nil, nil), unavailable, 0},
		"503":                  {fromHTTP(503, "", http.Header{"Retry-After": {"100000"}}, nil), unavailable, maxAskedPause},
		"504":                  {fromHTTP(504, "", nil, nil), unavailable, 0},
		"400":                  {fromHTTP(400, "", nil, nil), rejected, 0},
		"404":                  {fromHTTP(404, "", nil, nil), rejected, 0},
		"500":                  {fromHTTP(500, "", nil, nil), rejected, 0},
		"301":                  {fromHTTP(301, "", nil, nil), rejected, 0},
		"413":                  {fromHTTP(413, "", nil, nil), tooLarge, 0},
		"401":                  {fromHTTP(401, "", nil, nil), unauthorized, 0},
		"403":                  {fromHTTP(403, "", nil, nil), unauthorized, 0},
	} {
		if tt.got.verdict != tt.verdict || tt.got.pause != tt.pause {
			t.Errorf("%s: %d after %v, want %d after %v", name, tt.got.verdict, tt.got.pause, tt.verdict, tt.pause)
		}
	}
}

func TestProtocols(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
	if _, err := NewClient(Config{Endpoint: "host:1"}); err == nil {
		t.Error("a protocol is taken that is none")
	}
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")
	if _, err := NewClient(Config{Endpoint: "host:1"}); err != nil {
		t.Error(err)
	}
}
