package traces

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// Metrics counts what becomes of spans. Its methods are called from many goroutines.
type Metrics interface {
	// SpansExported were accepted by the backend.
	SpansExported(n int)
	// SpansFailed were in a request that failed; they are sent again.
	SpansFailed(n int)
	// SpansDropped are gone, for the reason.
	SpansDropped(reason string, n int)
}

// The reasons for which spans are dropped.
const (
	DroppedFull    = "queue_full" // the store was at its bound, and they were the oldest
	DroppedRefused = "refused"    // the backend will never accept them
	DroppedDamaged = "damaged"    // they could not be read from the store
)

// DropReasons are all reasons that SpansDropped is called with.
var DropReasons = []string{DroppedFull, DroppedRefused, DroppedDamaged}

// Queue keeps encoded spans until they are done with. Its methods are called from the sender's goroutine.
type Queue interface {
	// Spans visits what waits, oldest first, with ids above after, until visit returns false. encoded is an encoded
	// ResourceSpans message, valid during the visit.
	Spans(after uint64, visit func(id uint64, spans int, encoded []byte) (more bool)) error
	// RemoveSpans removes what is done with.
	RemoveSpans(ids []uint64) error
	// SpansAdded signals that there may be more.
	SpansAdded() <-chan struct{}
	// Pending is how many spans wait, and their size in bytes.
	Pending() (spans int, bytes int64)
}

const (
	// maxRequestBytes keeps a request under gRPC's default limit of 4 MiB on the receiving side.
	maxRequestBytes = 3 << 20
	// maxRequestSpans lets a backend that takes 100 ms for each request take 20,000 spans/s.
	maxRequestSpans = 2048
	// gatherTime is how long spans wait for others to be sent with: a request costs as much as some twenty spans.
	gatherTime = 200 * time.Millisecond
	// The pauses after failures double from the first to the second; a backend that is back is noticed soon.
	minPause = time.Second
	maxPause = 5 * time.Second
	// operatorPause is between attempts while an operator has to act, or the backend rejects everything.
	operatorPause = 30 * time.Second
	// closeGrace is how long Close waits for the sender's goroutine after it cancelled the request that is under way.
	closeGrace = time.Second
	// maxAttempts is how often a batch is sent to a backend that does not respond before others have their turn: it
	// may be the batch that keeps the backend from responding.
	maxAttempts = 8
)

// state is what the sender does.
type state uint8

const (
	sending  state = iota // requests are accepted
	failing               // the backend does not respond, or asks to wait
	locked                // the backend refuses the credentials
	refusing              // the backend rejects everything: nothing is isolated, and two requests a pause are sent
)

// Sender sends what is in the queue, oldest first, for as long as it takes. Nothing is given up because it takes long:
// a span goes when the backend accepts it, when it alone is rejected while others are accepted, or when the queue is
// full.
type Sender struct {
	client  Client
	queue   Queue
	metrics Metrics
	logger  *slog.Logger

	// ctx is done when requests must end, stop when no new one shall begin after a failure.
	ctx    context.Context
	cancel context.CancelFunc
	stop   chan struct{}
	done   chan struct{}

	// The rest belongs to the goroutine that sends.

	state state
	pause time.Duration // the last one, 0 after a success
	// most is how many spans the backend takes at once; it grows again after successes.
	most int
	// accepted is how many requests the backend accepted.
	accepted uint64
	// The queue is read in rounds, each from the oldest message on: round is the number of the current one, rewound is
	// when it began, and after is the id up to which it has come.
	round   uint64
	rewound time.Time
	after   uint64
	// held are messages that were not accepted and wait for a later round.
	held map[uint64]*held
	// warned is when the last partial success and the last dropped span were logged.
	warnedPartial, warnedDropped time.Time
}

// NewSender returns a sender. client must not retry on its own.
func NewSender(client Client, queue Queue, metrics Metrics, logger *slog.Logger) *Sender {
	ctx, cancel := context.WithCancel(context.Background())
	return &Sender{
		client: client, queue: queue, metrics: metrics, logger: logger, ctx: ctx, cancel: cancel,
		stop: make(chan struct{}), done: make(chan struct{}), most: maxRequestSpans, held: map[uint64]*held{},
	}
}

// Start connects the client and begins to send. It does not wait for the backend.
func (s *Sender) Start() error {
	if err := s.client.Start(s.ctx); err != nil {
		return err
	}
	go s.run()
	return nil
}

// Close sends what waits until ctx is done or a request fails, and leaves the rest in the queue: that is no error.
func (s *Sender) Close(ctx context.Context) error {
	close(s.stop)
	select {
	case <-s.done:
	case <-ctx.Done():
		s.cancel() // the request that is under way
		select {
		case <-s.done:
		case <-time.After(closeGrace): // the disk hangs
		}
	}
	s.cancel()
	if left, _ := s.queue.Pending(); left > 0 {
		s.logger.Info("Spans stay in the store and are sent after the next start", "spans", left)
	}
	// The client has nothing left to do, so that it cannot fail in any way that matters.
	_ = s.client.Stop(context.WithoutCancel(ctx))
	return nil
}

// message is an encoded ResourceSpans message of the queue.
type message struct {
	id      uint64
	spans   int
	encoded []byte
}

func (s *Sender) run() {
	defer close(s.done)
	s.rewind()
	for {
		batch, err := s.read()
		switch {
		case err != nil:
			s.logger.Error("Failed to read spans from the store", "err", err)
			if !s.wait(maxPause) {
				return
			}
		case len(batch) > 0:
			if !s.deliver(batch) {
				return
			}
			if time.Since(s.rewound) > maxHeld {
				s.rewind()
			}
		default:
			if !s.idle() {
				return
			}
		}
	}
}

// rewind begins a round.
func (s *Sender) rewind() { s.round, s.rewound, s.after = s.round+1, time.Now(), 0 }

// read takes the next request's messages from the queue, without those that are held.
func (s *Sender) read() (batch []message, err error) {
	bytes, spans, now := 0, 0, time.Now()
	err = s.queue.Spans(s.after, func(id uint64, n int, encoded []byte) bool {
		if h, ok := s.held[id]; ok {
			h.round = s.round
			if now.Before(h.until) {
				return true
			}
		}
		if len(batch) > 0 && (bytes+len(encoded) > maxRequestBytes || spans+n > s.most) {
			return false
		}
		batch = append(batch, message{id, n, append([]byte(nil), encoded...)})
		bytes += len(encoded)
		spans += n
		return true
	})
	if len(batch) > 0 {
		s.after = batch[len(batch)-1].id
	}
	return batch, err
}

// deliver sends a batch until the backend has accepted it, or its messages are held. It returns false when the sender
// is stopped before.
func (s *Sender) deliver(batch []message) bool {
	for attempt := 1; ; attempt++ {
		if attempt > 1 {
			if batch = s.present(batch); len(batch) == 0 {
				return true
			}
		}
		r := s.send(batch)
		switch r.verdict {
		case accepted:
			s.succeed(batch)
			return true
		case unavailable:
			s.enter(failing, "Failed to send spans, they are kept", r.err)
			if !s.wait(max(s.backOff(maxPause), r.pause)) {
				return false
			}
			if attempt >= maxAttempts {
				s.hold(batch)
				return true
			}
		case unauthorized:
			s.enter(locked, "Backend refuses the credentials: check otlp.headers and the certificates. Spans are kept", r.err)
			if !s.wait(max(operatorPause, r.pause)) {
				return false
			}
		case tooLarge:
			if count(batch) > 1 {
				s.most = max(1, count(batch)/2)
				return s.split(batch, s.most)
			}
			return s.isolate(batch, r)
		case rejected:
			return s.isolate(batch, r)
		}
	}
}

// present is what the queue has of a batch: it may have dropped some to stay within its bound, and counted that. What the
// queue cannot show now has its turn in another round.
func (s *Sender) present(batch []message) []message {
	there := make(map[uint64]bool, len(batch))
	last := batch[len(batch)-1].id
	err := s.queue.Spans(batch[0].id-1, func(id uint64, _ int, _ []byte) bool {
		there[id] = true
		return id < last
	})
	if err != nil {
		return batch
	}
	return slices.DeleteFunc(batch, func(m message) bool { return !there[m.id] })
}

// split delivers a batch in parts of so many spans at most.
func (s *Sender) split(batch []message, most int) bool {
	begin, spans := 0, 0
	for i, m := range batch {
		if i > begin && spans+m.spans > most {
			if !s.deliver(batch[begin:i]) {
				return false
			}
			begin, spans = i, 0
		}
		spans += m.spans
	}
	if begin == 0 && len(batch) == 1 {
		return s.isolate(batch, response{verdict: tooLarge})
	}
	return s.deliver(batch[begin:])
}

// send sends one request, with the bytes that were stored.
func (s *Sender) send(batch []message) response {
	spans := make([]*tracepb.ResourceSpans, len(batch))
	for i, m := range batch {
		// What a message does not know of is encoded as it is.
		spans[i] = new(tracepb.ResourceSpans)
		spans[i].ProtoReflect().SetUnknown(m.encoded)
	}
	return s.request(spans, count(batch))
}

// request sends one request, and counts what becomes of its spans.
func (s *Sender) request(spans []*tracepb.ResourceSpans, n int) response {
	r := response{verdict: unavailable, err: errNoResponse}
	err := s.client.UploadTraces(withResponse(s.ctx, &r), spans)
	if err != nil && r.err == errNoResponse {
		r.err = err // of the network
	}
	if r.verdict != accepted {
		s.metrics.SpansFailed(n)
		return r
	}
	s.accepted++
	refused := min(r.rejectedSpans, n)
	s.metrics.SpansExported(n - refused)
	if refused > 0 {
		s.metrics.SpansDropped(DroppedRefused, refused)
	}
	if (refused > 0 || r.message != "") && time.Since(s.warnedPartial) > warnEvery {
		s.warnedPartial = time.Now()
		s.logger.Warn("Backend reports a partial success", "rejected", refused, "message", r.message)
	}
	return r
}

// warnEvery is how often the same trouble is logged.
const warnEvery = 5 * time.Minute

// succeed removes what was accepted.
func (s *Sender) succeed(batch []message) {
	if s.state != sending {
		s.logger.Info("Backend accepts spans again")
	}
	s.state, s.pause = sending, 0
	s.most = min(maxRequestSpans, s.most+max(1, s.most/8))
	s.remove(batch)
}

func (s *Sender) remove(batch []message) {
	ids := make([]uint64, len(batch))
	for i, m := range batch {
		ids[i] = m.id
		delete(s.held, m.id)
	}
	if err := s.queue.RemoveSpans(ids); err != nil {
		s.logger.Debug("Failed to remove spans that were sent, they may be sent again", "err", err)
	}
}

// enter changes the state, and logs that once.
func (s *Sender) enter(to state, text string, err error) {
	if s.state != to {
		s.state = to
		s.logger.Warn(text, "err", err)
	}
}

// backOff is the next pause, up to a longest one, with some jitter.
func (s *Sender) backOff(longest time.Duration) time.Duration {
	s.pause = min(max(2*s.pause, minPause), longest)
	return s.pause + rand.N(s.pause/10+1)
}

// wait waits after a failure. It returns false when the sender is stopped.
func (s *Sender) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.stop:
		return false
	}
}

// idle waits at the end of the queue for more spans, and a moment more for others to come with them. What waits all the
// same is held, or could not be read when its turn was, as while the disk failed: for that, a new round begins every
// maxPause. idle returns false when the sender is stopped and nothing came.
func (s *Sender) idle() bool {
	var again <-chan time.Time
	if left, _ := s.queue.Pending(); left == 0 {
		clear(s.held)
	} else {
		pause := maxPause - time.Since(s.rewound)
		if pause <= 0 {
			s.forgetGone()
			s.rewind()
			return true
		}
		timer := time.NewTimer(pause)
		defer timer.Stop()
		again = timer.C
	}
	select {
	case <-s.queue.SpansAdded():
		s.wait(gatherTime)
		return true
	case <-again:
		return true
	case <-s.stop:
	}
	select {
	case <-s.queue.SpansAdded():
		return true
	default:
		return false
	}
}

func count(batch []message) int {
	n := 0
	for _, m := range batch {
		n += m.spans
	}
	return n
}
