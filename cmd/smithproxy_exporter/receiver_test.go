package main

import (
	"context"
	"encoding/hex"
	"net"
	"sync"
	"testing"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// receiver is a real OTLP/gRPC server that keeps what it is sent.
type receiver struct {
	coltracepb.UnimplementedTraceServiceServer
	address string
	// refuse can answer a request with an error, before it is kept; nil is never.
	refuse func(*coltracepb.ExportTraceServiceRequest) error

	mu    sync.Mutex
	spans []received
	more  chan struct{} // closed with the next spans
}

// received is one span, with the attributes of its resource.
type received struct {
	*tracepb.Span
	resource map[string]any
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	return newReceiverAt(t, "127.0.0.1:0")
}

func newReceiverAt(t testing.TB, address string) *receiver {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{address: listener.Addr().String(), more: make(chan struct{})}
	server := grpc.NewServer()
	coltracepb.RegisterTraceServiceServer(server, r)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Errorf("OTLP receiver: %v", err)
		}
	})
	return r
}

func (r *receiver) Export(_ context.Context, req *coltracepb.ExportTraceServiceRequest) (*coltracepb.ExportTraceServiceResponse, error) {
	if r.refuse != nil {
		if err := r.refuse(req); err != nil {
			return nil, err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rs := range req.GetResourceSpans() {
		resource := values(rs.GetResource().GetAttributes())
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				r.spans = append(r.spans, received{s, resource})
			}
		}
	}
	close(r.more)
	r.more = make(chan struct{})
	return &coltracepb.ExportTraceServiceResponse{}, nil
}

// await waits until n spans have arrived.
func (r *receiver) await(t testing.TB, n int) {
	t.Helper()
	over := time.After(time.Minute)
	for {
		r.mu.Lock()
		arrived, more := len(r.spans), r.more
		r.mu.Unlock()
		if arrived >= n {
			return
		}
		select {
		case <-more:
		case <-over:
			t.Fatalf("%d of %d spans have arrived within a minute", arrived, n)
		}
	}
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.spans...)
}

func (s received) traceID() string { return hex.EncodeToString(s.GetTraceId()) }
func (s received) spanID() string  { return hex.EncodeToString(s.GetSpanId()) }
func (s received) parent() string  { return hex.EncodeToString(s.GetParentSpanId()) }

func values(attributes []*commonpb.KeyValue) map[string]any {
	m := make(map[string]any, len(attributes))
	for _, kv := range attributes {
		m[kv.GetKey()] = value(kv.GetValue())
	}
	return m
}

func value(v *commonpb.AnyValue) any {
	switch v := v.GetValue().(type) {
	case *commonpb.AnyValue_StringValue:
		return v.StringValue
	case *commonpb.AnyValue_BoolValue:
		return v.BoolValue
	case *commonpb.AnyValue_IntValue:
		return v.IntValue
	case *commonpb.AnyValue_DoubleValue:
		return v.DoubleValue
	case *commonpb.AnyValue_ArrayValue:
		var list []any
		for _, e := range v.ArrayValue.GetValues() {
			list = append(list, value(e))
		}
		return list
	}
	return nil
}
