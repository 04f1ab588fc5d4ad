package traces

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// Meter counts what becomes of spans. It is called from many goroutines.
type Meter interface {
	// SpansExported were accepted by the backend.
	SpansExported(n int)
	// SpansFailed were in an attempt that failed; they are tried again.
	SpansFailed(n int)
	// SpansDropped are gone, for the reason.
	SpansDropped(reason string, n int)
	// SpansPending is how many wait now.
	SpansPending(n int)
}

// The reasons for which spans are dropped.
const (
	DroppedFull    = "queue_full" // the oldest went when the outbox was full
	DroppedRefused = "refused"    // the backend says that it will never take them
	DroppedStop    = "shutdown"   // the process ended before the backend took them
)

// DropReasons are all reasons that SpansDropped is called with.
var DropReasons = []string{DroppedFull, DroppedRefused, DroppedStop}

const (
	// maxBatchBytes keeps a request under gRPC's default limit of 4 MiB on the receiving side, with
	// room for what is around the spans.
	maxBatchBytes = 3 << 20
	// maxBatchSpans is the batch processor's own default.
	maxBatchSpans = 512
	// maxOutboxBytes bounds the spans that wait while the backend is gone.
	maxOutboxBytes = 48 << 20
	// The pauses between attempts that fail double from the first to the second.
	minPause = time.Second
	maxPause = 30 * time.Second
)

// Outbox is an otlptrace.Client that takes spans at once and keeps them until the client behind it
// has got them accepted. Nothing is given up because it takes long: a span goes only when the
// outbox is full, oldest first, or when the backend refuses it for good.
type Outbox struct {
	client otlptrace.Client
	meter  Meter
	logger *slog.Logger

	mu      sync.Mutex
	queue   []parcel // oldest first
	bytes   int      // of queue
	sending int      // spans in the attempt that is under way

	wake chan struct{} // has room for one
	stop chan struct{}
	done chan struct{}
}

// parcel is one span, with what it shares with others.
type parcel struct {
	resource       *resourcepb.Resource
	resourceSchema string
	scope          *commonpb.InstrumentationScope
	scopeSchema    string
	span           *tracepb.Span
	bytes          int
}

var _ otlptrace.Client = (*Outbox)(nil)

// NewOutbox returns an outbox in front of client, which must not retry on its own for long.
func NewOutbox(client otlptrace.Client, meter Meter, logger *slog.Logger) *Outbox {
	return &Outbox{
		client: client, meter: meter, logger: logger,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
}

// Start connects the client and begins to send.
func (o *Outbox) Start(ctx context.Context) error {
	if err := o.client.Start(ctx); err != nil {
		return err
	}
	go o.run()
	return nil
}

// Stop sends what waits until ctx is done, and drops the rest.
func (o *Outbox) Stop(ctx context.Context) error {
	close(o.stop)
	select {
	case <-o.done:
	case <-ctx.Done():
	}
	err := o.client.Stop(ctx)
	<-o.done
	if left := o.len(); left > 0 {
		o.meter.SpansDropped(DroppedStop, left)
		o.logger.Warn("Spans were not sent before the end", "spans", left)
	}
	return err
}

// UploadTraces takes the spans. It does not wait for the backend, and never fails.
func (o *Outbox) UploadTraces(_ context.Context, batches []*tracepb.ResourceSpans) error {
	o.mu.Lock()
	for _, rs := range batches {
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				p := parcel{
					resource: rs.GetResource(), resourceSchema: rs.GetSchemaUrl(),
					scope: ss.GetScope(), scopeSchema: ss.GetSchemaUrl(), span: s, bytes: proto.Size(s),
				}
				o.queue = append(o.queue, p)
				o.bytes += p.bytes
			}
		}
	}
	dropped := o.trim()
	pending := len(o.queue) + o.sending
	o.mu.Unlock()
	o.meter.SpansPending(pending)
	if dropped > 0 {
		o.meter.SpansDropped(DroppedFull, dropped)
	}
	select {
	case o.wake <- struct{}{}:
	default:
	}
	return nil
}

// trim makes the outbox fit its bound, and returns how many spans that cost. mu is held.
func (o *Outbox) trim() int {
	n := 0
	for o.bytes > maxOutboxBytes {
		o.bytes -= o.queue[n].bytes
		n++
	}
	clear(o.queue[:n])
	o.queue = o.queue[n:]
	return n
}

func (o *Outbox) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue)
}

func (o *Outbox) run() {
	defer close(o.done)
	pause := time.Duration(0)
	for {
		batch := o.take()
		if len(batch) == 0 {
			select {
			case <-o.wake:
				continue
			case <-o.stop:
				if o.len() == 0 {
					return
				}
				continue
			}
		}
		err := o.client.UploadTraces(context.Background(), assemble(batch))
		keep := err != nil && !refused(err)
		switch {
		case keep:
			o.meter.SpansFailed(len(batch))
			o.putBack(batch)
		case err != nil:
			o.meter.SpansDropped(DroppedRefused, len(batch))
			o.logger.Error("Backend refused spans for good", "spans", len(batch), "err", err)
		default:
			o.meter.SpansExported(len(batch))
		}
		o.meter.SpansPending(o.settle())
		if !keep {
			pause = 0
		} else if !o.wait(&pause, err) {
			return
		}
	}
}

// settle ends the attempt that was under way, and returns how many spans wait.
func (o *Outbox) settle() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sending = 0
	return len(o.queue)
}

// wait pauses after a failure; false means that the outbox has been stopped, and that there is no
// time for another attempt.
func (o *Outbox) wait(pause *time.Duration, cause error) bool {
	if *pause == 0 {
		o.logger.Warn("Spans could not be sent, and are kept", "err", cause)
	}
	*pause = min(max(2**pause, minPause), maxPause)
	timer := time.NewTimer(*pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-o.stop:
		return false
	}
}

// take removes the next batch from the queue.
func (o *Outbox) take() []parcel {
	o.mu.Lock()
	defer o.mu.Unlock()
	n, size := 0, 0
	for n < len(o.queue) && n < maxBatchSpans && (n == 0 || size+o.queue[n].bytes <= maxBatchBytes) {
		size += o.queue[n].bytes
		n++
	}
	batch := append([]parcel(nil), o.queue[:n]...)
	clear(o.queue[:n])
	o.queue = o.queue[n:]
	o.bytes -= size
	o.sending = n
	return batch
}

func (o *Outbox) putBack(batch []parcel) {
	o.mu.Lock()
	o.queue = append(batch, o.queue...)
	for _, p := range batch {
		o.bytes += p.bytes
	}
	dropped := o.trim()
	o.mu.Unlock()
	if dropped > 0 {
		o.meter.SpansDropped(DroppedFull, dropped)
	}
}

// assemble groups spans by resource and scope again. The pointers tell: a batch of the processor has
// one of each for each proxy.
func assemble(batch []parcel) []*tracepb.ResourceSpans {
	type key struct {
		resource *resourcepb.Resource
		scope    *commonpb.InstrumentationScope
	}
	groups := map[key]*tracepb.ScopeSpans{}
	var out []*tracepb.ResourceSpans
	for _, p := range batch {
		k := key{p.resource, p.scope}
		ss, ok := groups[k]
		if !ok {
			ss = &tracepb.ScopeSpans{Scope: p.scope, SchemaUrl: p.scopeSchema}
			groups[k] = ss
			out = append(out, &tracepb.ResourceSpans{
				Resource: p.resource, SchemaUrl: p.resourceSchema, ScopeSpans: []*tracepb.ScopeSpans{ss},
			})
		}
		ss.Spans = append(ss.Spans, p.span)
	}
	return out
}

// refused reports whether the backend will never take what it was sent. Everything else, an expired
// token too, can change.
func refused(err error) bool {
	var grpcError interface{ GRPCStatus() *status.Status }
	return errors.As(err, &grpcError) && grpcError.GRPCStatus().Code() == codes.InvalidArgument
}
