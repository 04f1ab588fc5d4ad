package main

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"smithproxy_exporter/exporter/traceid"
)

// answering is a receiver that answers as it is told, and keeps what it accepted.
type answering struct {
	*receiver
	// held lets the first request wait until all that there will be is there.
	held chan struct{}
	// answer is for the attempt of that number, from 1. What it rejects is not kept.
	answer func(attempt int, spans []*tracepb.Span) (rejected []*tracepb.Span, err error)

	attempts []time.Time
}

func (a *answering) Export(ctx context.Context, req *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	<-a.held
	var spans []*tracepb.Span
	for _, rs := range req.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			spans = append(spans, ss.GetSpans()...)
		}
	}
	a.mu.Lock()
	a.attempts = append(a.attempts, time.Now())
	attempt := len(a.attempts)
	a.mu.Unlock()
	rejected, err := a.answer(attempt, spans)
	if err != nil {
		return nil, err
	}
	for _, rs := range req.GetResourceSpans() {
		for _, ss := range rs.GetScopeSpans() {
			ss.Spans = slices.DeleteFunc(ss.Spans, func(s *tracepb.Span) bool { return slices.Contains(rejected, s) })
		}
	}
	response, err := a.receiver.Export(ctx, req)
	if len(rejected) > 0 {
		response.PartialSuccess = &coltracepb.ExportTracePartialSuccess{
			RejectedSpans: int64(len(rejected)), ErrorMessage: "not those",
		}
	}
	return response, err
}

// TestAnswers has a backend answer what it may by the specification of OTLP: what it does not refuse
// for good arrives once, and does not wait for what it does.
func TestAnswers(t *testing.T) {
	const connections, bad = 60, 23
	name := "b" + strconv.Itoa(bad) // of the span of the bad connection
	first := func(err error) func(int, []*tracepb.Span) ([]*tracepb.Span, error) {
		return func(attempt int, _ []*tracepb.Span) ([]*tracepb.Span, error) {
			if attempt > 1 {
				return nil, nil
			}
			return nil, err
		}
	}
	isBad := func(s *tracepb.Span) bool { return s.GetName() == name }
	later, err := status.New(codes.ResourceExhausted, "later").WithDetails(
		&errdetails.RetryInfo{RetryDelay: durationpb.New(3 * time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		answer  func(attempt int, spans []*tracepb.Span) ([]*tracepb.Span, error)
		options []grpc.ServerOption
		refused int
		pause   time.Duration // before the second attempt, at least
	}{
		{"UNAVAILABLE", first(status.Error(codes.Unavailable, "down")), nil, 0, time.Second},
		{"DEADLINE_EXCEEDED", first(status.Error(codes.DeadlineExceeded, "slow")), nil, 0, time.Second},
		// Without RetryInfo the specification has it be permanent: the request is bisected at once.
		{"RESOURCE_EXHAUSTED", first(status.Error(codes.ResourceExhausted, "full")), nil, 0, 0},
		{"RESOURCE_EXHAUSTED with RetryInfo", first(later.Err()), nil, 0, 3 * time.Second},
		{"partial success", func(_ int, spans []*tracepb.Span) (rejected []*tracepb.Span, _ error) {
			return slices.DeleteFunc(spans, func(s *tracepb.Span) bool { return !isBad(s) }), nil
		}, nil, 1, 0},
		{"INVALID_ARGUMENT", func(_ int, spans []*tracepb.Span) ([]*tracepb.Span, error) {
			if slices.ContainsFunc(spans, isBad) {
				return nil, status.Error(codes.InvalidArgument, "bad span")
			}
			return nil, nil
		}, nil, 1, 0},
		{"a server that takes small requests only", first(nil), []grpc.ServerOption{grpc.MaxRecvMsgSize(24 << 10)}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			backend := &answering{receiver: &receiver{more: make(chan struct{})}, held: make(chan struct{}), answer: c.answer}
			backend.address = serveOTLP(t, backend, c.options...)
			e := startLive(t, []string{"--otlp.endpoint=" + backend.address}, nil)
			for i := range connections {
				for _, body := range life("edge", i, 1) {
					if code, answer := e.post([]byte(strings.Replace(body, `"http1",`, `"b`+strconv.Itoa(i)+`",`, 1))); code/100 != 2 {
						t.Fatalf("answered %d %s", code, answer)
					}
				}
			}
			close(backend.held)
			sum := func(name string, labels ...string) int { return int(parseMetrics(t, e.metrics()).sum(name, labels...)) }
			backend.await(t, connections-c.refused)
			eventually(t, "removed from the queue", func() bool { return sum("smithproxy_exporter_spans_pending") == 0 })
			got := map[string]int{}
			for _, s := range backend.all() {
				got[s.spanID()]++
			}
			for i := range connections {
				want := 1
				if c.refused > 0 && i == bad {
					want = 0
				}
				if n := got[traceid.Of("edge", outageID("edge", i)).SpanString()]; n != want {
					t.Errorf("the span of connection %d arrived %d times, want %d", i, n, want)
				}
			}
			if n := sum("smithproxy_exporter_spans_dropped_total", "reason=refused"); n != c.refused {
				t.Errorf("%d spans refused, want %d", n, c.refused)
			}
			backend.mu.Lock()
			defer backend.mu.Unlock()
			if c.pause > 0 && backend.attempts[1].Sub(backend.attempts[0]) < c.pause {
				t.Errorf("second attempt %v after the first, want %v", backend.attempts[1].Sub(backend.attempts[0]), c.pause)
			}
			t.Logf("%d requests, %d spans arrived", len(backend.attempts), len(got))
		})
	}
}

// serveOTLP serves until the test is over, and returns where.
func serveOTLP(t *testing.T, service coltracepb.TraceServiceServer, options ...grpc.ServerOption) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	coltracepb.RegisterTraceServiceServer(server, service)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}
