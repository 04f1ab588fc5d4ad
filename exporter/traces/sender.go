package traces

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// Metrics counts spans. Its methods are safe for concurrent use.
type Metrics interface {
	// SpansExported counts spans that the backend accepted.
	SpansExported(n int)
	// SpansFailed counts the spans of a failed request. They are sent again.
	SpansFailed(n int)
	// SpansDropped counts dropped spans, by one of DropReasons.
	SpansDropped(reason string, n int)
}

// The reasons for which spans are dropped.
const (
	DroppedFull    = "queue_full" // the store was full, and they were the oldest
	DroppedRefused = "refused"    // the backend rejects them permanently
	DroppedDamaged = "damaged"    // they could not be read from the store
)

// DropReasons are all reasons with which Metrics.SpansDropped is called.
var DropReasons = []string{DroppedFull, DroppedRefused, DroppedDamaged}

// Queue stores encoded spans until they are sent or dropped. Its methods are called from the sender's goroutine.
type Queue interface {
	// Spans visits the messages whose id is greater than after, oldest first, until visit returns false. encoded is an
	// encoded ResourceSpans message, valid during the visit.
	Spans(after uint64, visit func(id uint64, spans int, encoded []byte) (more bool)) error
	// RemoveSpans removes messages.
	RemoveSpans(ids []uint64) error
	// SpansAdded receives a value when messages may have been added.
	SpansAdded() <-chan struct{}
	// Pending returns the number of waiting spans, and their size in bytes.
	Pending() (spans int, bytes int64)
}

const (
	// maxRequestBytes keeps a request under gRPC's default limit of 4 MiB on the receiving side.
	maxRequestBytes = 3 << 20
	// maxRequestSpans lets a backend that takes 100 ms for each request take 20,000 spans/s.
	maxRequestSpans = 2048
	// gatherTime is how long the sender waits for more spans before a request. A request costs as much as some twenty
	// spans.
	gatherTime = 200 * time.Millisecond
	// minPause and maxPause bound the pauses after failures, which double. maxPause is short, so that a recovered backend
	// is noticed soon.
	minPause = time.Second
	maxPause = 5 * time.Second
	// operatorPause is the pause between attempts while an operator has to act, or the backend rejects everything.
	operatorPause = 30 * time.Second
	// closeGrace is how long Close waits for the sender's goroutine after it has cancelled the current request.
	closeGrace = time.Second
	// maxAttempts is how often a batch is sent to an unavailable backend before others are tried: the batch may be the
	// reason why the backend does not respond.
	maxAttempts = 8
)

// state is the state of the sender.
type state uint8

const (
	sending  state = iota // requests are accepted
	failing               // the backend does not respond, or asks to wait
	locked                // the backend refuses the credentials
	refusing              // the backend rejects everything: nothing is isolated, two requests are sent a pause
)

// Sender sends the messages in the queue, oldest first, until the backend accepts them. There is no time limit: a span is
// only removed if the backend accepts it, if it alone is rejected while others are accepted, or if the queue is full.
type Sender struct {
	client  Client
	queue   Queue
	metrics Metrics
	logger  *slog.Logger

	// ctx is cancelled to end the current request; stop is closed to end the sender after a failure or when nothing waits.
	ctx    context.Context
	cancel context.CancelFunc
	stop   chan struct{}
	done   chan struct{}

	// The rest belongs to the goroutine that sends.

	state state
	pause time.Duration // the last one, 0 after a success
	// most bounds the spans of a request. It shrinks if the backend reports that a request is too large, and grows again
	// after successes.
	most int
	// accepted is the number of accepted requests.
	accepted uint64
	// The queue is read in rounds, each from the oldest message: round is the number of the current round, rewound is when
	// it began, and after is the last id that it read.
	round   uint64
	rewound time.Time
	after   uint64
	// held are messages that were rejected and wait for a later round.
	held map[uint64]*held
	// warnedPartial and warnedDropped are when a partial success and dropped spans were last logged.
	warnedPartial, warnedDropped time.Time
}

// NewSender returns a Sender. client must not retry by itself.
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

// Close sends waiting spans until ctx is done or a request fails. The rest stays in the queue, which is not an error.
func (s *Sender) Close(ctx context.Context) error {
	close(s.stop)
	select {
	case <-s.done:
	case <-ctx.Done():
		s.cancel() // the current request
		select {
		case <-s.done:
		case <-time.After(closeGrace): // the disk hangs
		}
	}
	s.cancel()
	if left, _ := s.queue.Pending(); left > 0 {
		s.logger.Info("Some spans were not sent, they stay in the store until the next start", "spans", left)
	}
	// The client has nothing left to do, so errors do not matter.
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

// rewind starts a round.
func (s *Sender) rewind() { s.round, s.rewound, s.after = s.round+1, time.Now(), 0 }

// read reads the messages of the next request from the queue, without held ones.
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

// deliver sends a batch until the backend accepts it, or its messages are held. It returns false if the sender is
// stopped before.
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
			s.enter(locked, "Backend rejects the credentials, spans are kept; check otlp.headers and the certificates", r.err)
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

// present returns the messages of a batch that are still in the queue, which may have dropped some because it is full. A
// message that cannot be read now is sent in another round.
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

// split delivers a batch in parts of at most the given number of spans.
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

// send sends one request with the stored bytes.
func (s *Sender) send(batch []message) response {
	spans := make([]*tracepb.ResourceSpans, len(batch))
	for i, m := range batch {
		// Unknown fields are encoded unchanged.
		spans[i] = new(tracepb.ResourceSpans)
		spans[i].ProtoReflect().SetUnknown(m.encoded)
	}
	return s.request(spans, count(batch))
}

// request sends one request, and counts its spans.
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

// warnEvery is the least time between two log messages about the same problem.
const warnEvery = 5 * time.Minute

// succeed removes an accepted batch from the queue.
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
		s.logger.Debug("Failed to remove sent spans, they may be sent again", "err", err)
	}
}

// enter changes the state, and logs the change.
func (s *Sender) enter(to state, text string, err error) {
	if s.state != to {
		s.state = to
		s.logger.Warn(text, "err", err)
	}
}

// backOff returns the next pause, at most the longest, with some jitter.
func (s *Sender) backOff(longest time.Duration) time.Duration {
	s.pause = min(max(2*s.pause, minPause), longest)
	return s.pause + rand.N(s.pause/10+1)
}

// wait waits after a failure. It returns false if the sender is stopped.
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

// idle waits at the end of the queue for new spans, and then for gatherTime. Messages that remain in the queue are held,
// or could not be read because of a disk failure: a new round starts every maxPause for them. idle returns false if the
// sender is stopped and no spans were added.
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
