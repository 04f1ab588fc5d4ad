package traces

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
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
}

// The reasons for which spans are dropped.
const (
	DroppedFull    = "queue_full" // the oldest went when the outbox was full
	DroppedRefused = "refused"    // the backend says that it will never take them
	DroppedDamaged = "damaged"    // they cannot be read from the disk
	DroppedStop    = "shutdown"   // the process ended, and they could not be written to the disk
)

// DropReasons are all reasons that SpansDropped is called with.
var DropReasons = []string{DroppedFull, DroppedRefused, DroppedDamaged, DroppedStop}

// Store keeps payloads until they are done with, in order. One goroutine calls Next and Done.
type Store interface {
	// Append makes payloads durable, each with the number of its spans. After an error none of them is
	// there.
	Append(payloads [][]byte, spans []int) error
	// Next returns the payloads that follow those that it returned before, not much more than so many
	// bytes and spans of them, but one at least; none if there are none. mark is for Done.
	Next(maxBytes, maxSpans int) (payloads [][]byte, mark uint64, err error)
	// Done says that everything up to the mark is done with.
	Done(mark uint64) error
	// Weight is how many spans are not done with.
	Weight() int64
}

const (
	// maxBatchBytes keeps a request under gRPC's default limit of 4 MiB on the receiving side, with
	// room for what is around the spans.
	maxBatchBytes = 3 << 20
	// maxBatchSpans lets a backend that takes 100 ms for each batch take 20,000 spans/s.
	maxBatchSpans = 2048
	// payloadSpans is how many spans share a payload, so that one stays well below a batch.
	payloadSpans = 64
	// maxMemory bounds the payloads that wait in memory because the disk does not take them.
	maxMemory = 32 << 20
)

// errMemory is returned for spans that are kept, but would not survive the process.
var errMemory = errors.New("spans are kept in memory only")

// Outbox is an otlptrace.Client that takes spans at once and keeps them in its store until the client
// behind it has got them accepted. Nothing is given up because it takes long: a span goes only when the
// store is full, oldest first, or when the backend refuses it for good.
type Outbox struct {
	client otlptrace.Client
	store  Store
	meter  Meter
	logger *slog.Logger

	// mu guards what the disk did not take, which is newer than all that it did.
	mu     sync.Mutex
	memory []payload
	bytes  int // of memory

	// sender is of the goroutine that sends.
	sender sender
	wake   chan struct{} // has room for one
	stop   chan struct{}
	done   chan struct{}
}

// payload is some spans of one proxy, encoded.
type payload struct {
	encoded []byte
	spans   int
}

var _ otlptrace.Client = (*Outbox)(nil)

// NewOutbox returns an outbox in front of client, which must not retry on its own.
func NewOutbox(client otlptrace.Client, store Store, meter Meter, logger *slog.Logger) *Outbox {
	stop := make(chan struct{})
	return &Outbox{
		client: client, store: store, meter: meter, logger: logger,
		sender: sender{client: client, meter: meter, logger: logger, stop: stop},
		wake:   make(chan struct{}, 1), stop: stop, done: make(chan struct{}),
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

// Stop sends what waits until ctx is done, and leaves the rest in the store.
func (o *Outbox) Stop(ctx context.Context) error {
	close(o.stop)
	select {
	case <-o.done:
	case <-ctx.Done():
	}
	err := o.client.Stop(ctx)
	<-o.done
	if left := o.store.Weight(); left > 0 {
		o.logger.Info("Spans are kept to be sent by the next start", "spans", left)
	}
	if lost := o.keep(nil); lost > 0 {
		o.meter.SpansDropped(DroppedStop, lost)
		o.logger.Warn("Spans could be neither sent nor kept", "spans", lost)
	}
	return err
}

// UploadTraces takes the spans. It does not wait for the backend. An error says that they are kept in
// memory only.
func (o *Outbox) UploadTraces(_ context.Context, batches []*tracepb.ResourceSpans) error {
	payloads, err := encode(batches)
	if err != nil {
		return err
	}
	waiting := o.keep(payloads)
	select {
	case o.wake <- struct{}{}:
	default:
	}
	if waiting > 0 {
		return errMemory
	}
	return nil
}

// Pending is how many spans wait to be accepted.
func (o *Outbox) Pending() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return int(o.store.Weight()) + count(o.memory)
}

// keep moves payloads to the store, with those that it did not take before, and returns how many spans
// it has not taken.
func (o *Outbox) keep(payloads []payload) (waiting int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range payloads {
		o.bytes += len(p.encoded)
	}
	o.memory = append(o.memory, payloads...)
	if len(o.memory) == 0 {
		return 0
	}
	encoded, spans := make([][]byte, len(o.memory)), make([]int, len(o.memory))
	for i, p := range o.memory {
		encoded[i], spans[i] = p.encoded, p.spans
	}
	if err := o.store.Append(encoded, spans); err != nil {
		o.trim()
		return count(o.memory)
	}
	o.memory, o.bytes = nil, 0
	return 0
}

// trim drops the oldest of what is in memory until it fits. mu is held.
func (o *Outbox) trim() {
	n := 0
	for o.bytes > maxMemory {
		o.bytes -= len(o.memory[n].encoded)
		n++
	}
	if n > 0 {
		o.meter.SpansDropped(DroppedFull, count(o.memory[:n]))
		o.memory = append([]payload(nil), o.memory[n:]...)
	}
}

func count(payloads []payload) int {
	n := 0
	for _, p := range payloads {
		n += p.spans
	}
	return n
}

// run sends what waits, oldest first, until it is stopped and nothing waits, or an attempt failed.
func (o *Outbox) run() {
	defer close(o.done)
	for {
		payloads, mark, err := o.store.Next(maxBatchBytes, maxBatchSpans)
		switch {
		case err != nil:
			o.logger.Error("Spans cannot be read from the disk", "err", err)
			if !o.sender.pause(err) {
				return
			}
		case len(payloads) > 0:
			if !o.sender.deliver(o.decode(payloads)) {
				return
			}
			if err := o.store.Done(mark); err != nil {
				// They would be sent again after a crash, and that is all.
				o.logger.Debug("That spans were sent cannot be written down", "err", err)
			}
		default:
			if !o.sendMemory() {
				return
			}
		}
	}
}

// sendMemory sends what is in memory only; if there is nothing it waits for something. It returns false
// when there will be nothing, or an attempt failed at the end.
func (o *Outbox) sendMemory() bool {
	o.mu.Lock()
	size, n := 0, 0
	for n < len(o.memory) && (n == 0 || size+len(o.memory[n].encoded) <= maxBatchBytes) {
		size += len(o.memory[n].encoded)
		n++
	}
	batch := o.memory[:n:n]
	o.memory = o.memory[n:]
	o.bytes -= size
	o.mu.Unlock()
	if n > 0 {
		encoded := make([][]byte, n)
		for i, p := range batch {
			encoded[i] = p.encoded
		}
		if o.sender.deliver(o.decode(encoded)) {
			return true
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.memory = append(batch, o.memory...)
		o.bytes += size
		return false
	}
	select {
	case <-o.wake:
		return true
	case <-o.stop:
		// What came before the stop is there now.
		return o.Pending() > 0
	}
}

// encode makes payloads of some spans each, for one payload is the least that is read at once.
func encode(batches []*tracepb.ResourceSpans) ([]payload, error) {
	var payloads []payload
	for _, rs := range batches {
		for _, ss := range rs.GetScopeSpans() {
			for spans := ss.GetSpans(); len(spans) > 0; {
				n := min(len(spans), payloadSpans)
				part := &tracepb.ResourceSpans{
					Resource: rs.GetResource(), SchemaUrl: rs.GetSchemaUrl(),
					ScopeSpans: []*tracepb.ScopeSpans{{
						Scope: ss.GetScope(), SchemaUrl: ss.GetSchemaUrl(), Spans: spans[:n],
					}},
				}
				encoded, err := proto.Marshal(part)
				if err != nil {
					return nil, fmt.Errorf("encode spans: %w", err)
				}
				payloads = append(payloads, payload{encoded, n})
				spans = spans[n:]
			}
		}
	}
	return payloads, nil
}

// decode is the reverse of encode. What is no span any more, though its checksum was right, goes.
func (o *Outbox) decode(payloads [][]byte) []parcel {
	var parcels []parcel
	for _, encoded := range payloads {
		var rs tracepb.ResourceSpans
		if err := proto.Unmarshal(encoded, &rs); err != nil {
			o.logger.Error("Spans on disk cannot be understood", "err", err)
			o.meter.SpansDropped(DroppedDamaged, 1)
			continue
		}
		for _, ss := range rs.GetScopeSpans() {
			for _, s := range ss.GetSpans() {
				parcels = append(parcels, parcel{resource: &rs, scope: ss, span: s, bytes: proto.Size(s)})
			}
		}
	}
	return parcels
}
