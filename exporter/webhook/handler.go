// Package webhook receives what smithproxies post and answers it.
//
// Access-requests need an answer in every state of the exporter. The proxy blocks until it gets one, and
// since October 2026 it fails closed: it lets a connection pass only after a 2xx answer that says
// "accept", and blocks it after anything else. So an access-request always gets status 200 with an
// explicit accept or reject. The verdict is computed and sent before anything else sees the request.
// Where the rules cannot be asked (the body cannot be decoded, was cut off or is too large, or the
// exporter has a defect), the answer is the default verdict of the rules in force, and says so with the
// key "error".
//
// Every other event is answered once it has been taken, with status 202 where the proxy shall list its
// open connections. A newer proxy tries a second time only if it could not connect, and drops events
// while 256 are unsent, so a slow answer loses events.
package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// Intake takes what was received. Its methods are called from many goroutines, and fail only once the
// exporter is stopping. Event may wait, and reports whether the answer shall ask the proxy for a list of
// all that is open. Decision must not wait.
type Intake interface {
	Event(ev event.Event, at time.Time) (ask bool, err error)
	Decision(d track.Decision) error
}

// Decider answers access-requests. It must not wait for anything.
type Decider interface {
	// Decide applies the rules.
	Decide(q access.Request) access.Decision
	// Default returns the default verdict for a proxy, "" for one that is not known.
	Default(source string) access.Decision
}

// Handler serves POST /webhook/<secret> and refuses everything else.
type Handler struct {
	Secrets Secrets
	Decider Decider
	Intake  Intake
	// Refused is called with one of Refusals for each request that was not accepted.
	Refused func(reason string)
	// Fallback is called with one of Fallbacks for each access-request that was answered with the default
	// verdict because the rules could not be asked.
	Fallback func(reason string)
	// Now is the clock. Events carry no time, so the time of receipt is all there is.
	Now func() time.Time
	// MaxBody is the largest body that is read, in bytes.
	MaxBody int64
	Logger  *slog.Logger
}

var (
	answerDone    = []byte("{}\n")
	answerContent = []byte(`{"action":"none"}` + "\n")
)

// prefix is the path that a secret stands behind.
const prefix = "/webhook/"

// ServeHTTP receives one event.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secret, ok := strings.CutPrefix(r.URL.Path, prefix)
	if !ok || !h.Secrets.Match(secret) {
		h.refuse(w, http.StatusNotFound, refusedSecret, "no such webhook")
		return
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		h.refuse(w, http.StatusMethodNotAllowed, refusedMethod, "only POST is served here")
		return
	}
	x := exchange{Handler: h, w: w, at: h.Now(), body: bodies.Get().(*bytes.Buffer)}
	defer putBody(x.body)
	defer func() { x.recovered(recover()) }()
	x.serve(r)
}

// exchange is one request with the right secret, and its answer.
type exchange struct {
	*Handler
	w        http.ResponseWriter
	at       time.Time
	body     *bytes.Buffer
	answered bool
}

func (x *exchange) serve(r *http.Request) {
	if !x.read(r) {
		return
	}
	ev, err := event.Decode(x.body.Bytes())
	if err != nil {
		x.fail(http.StatusBadRequest, reason(err), err.Error())
		return
	}
	switch payload := ev.Payload.(type) {
	case event.Access:
		x.access(ev, payload)
	case event.Content:
		x.take(ev, answerContent)
	case nil:
		// An action or a type of message that is not known. It may be an access-request still.
		if source, ok := event.PartialAccess(x.body.Bytes()); ok {
			x.fallback(source, refusedType)
			return
		}
		x.take(ev, answerDone)
	default:
		x.take(ev, answerDone)
	}
}

func (x *exchange) take(ev event.Event, done []byte) {
	ask, err := x.Intake.Event(ev, x.at)
	switch {
	case err != nil:
		x.refuse(x.w, http.StatusServiceUnavailable, refusedStopping, "the exporter is stopping")
	case ask:
		// The proxy answers this status with a ping that lists all that is open.
		x.answer(http.StatusAccepted, done)
	default:
		x.answer(http.StatusOK, done)
	}
}

// read reads the whole body, or answers and returns false. Of a body that is too large it reads no more
// than is needed to recognise an access-request.
func (x *exchange) read(r *http.Request) bool {
	limit := x.MaxBody
	tooLarge := r.ContentLength > limit
	if tooLarge {
		// With Expect: 100-continue, reading would ask the client for the body.
		if r.Header.Get("Expect") != "" {
			x.failSize()
			return false
		}
		limit = min(limit, recognisableBytes)
	}
	_, err := x.body.ReadFrom(http.MaxBytesReader(x.w, r.Body, limit))
	var overLimit *http.MaxBytesError
	switch {
	case err == nil:
		return true
	case tooLarge || errors.As(err, &overLimit):
		x.failSize()
	default:
		x.fail(http.StatusBadRequest, refusedBody, "body could not be read")
	}
	return false
}

// recognisableBytes is how much is read of a body that is known to be too large. The action comes first in
// what smithproxy sends.
const recognisableBytes = 4 << 10

// bodies are buffers for request bodies. Large ones are not kept: only connection-content is large,
// and its payload shall not stay in memory.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

const keptBodyBytes = 64 << 10

func putBody(b *bytes.Buffer) {
	if b.Cap() > keptBodyBytes {
		return
	}
	clear(b.Bytes())
	b.Reset()
	bodies.Put(b)
}

func (x *exchange) answer(status int, body []byte) {
	x.answered = true
	header := x.w.Header()
	header["Content-Type"] = contentJSON
	header.Set("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(status)
	// A proxy that does not get the answer tries again, or does without.
	_, _ = x.w.Write(body)
}

var contentJSON = []string{"application/json"}

func (x *exchange) failSize() {
	x.fail(http.StatusRequestEntityTooLarge, refusedSize, "body is over "+strconv.FormatInt(x.MaxBody, 10)+" bytes")
}

// fail refuses the request with the given status, unless it is an access-request: that gets the default
// verdict.
func (x *exchange) fail(status int, reason, message string) {
	if source, ok := event.PartialAccess(x.body.Bytes()); ok {
		x.fallback(source, reason)
		return
	}
	x.refuse(x.w, status, reason, message)
}

func (h *Handler) refuse(w http.ResponseWriter, status int, reason, message string) {
	h.Refused(reason)
	w.Header()["Content-Type"] = contentJSON
	w.WriteHeader(status)
	// An answer that does not arrive changes nothing here.
	_ = json.NewEncoder(w).Encode(struct {
		Error  string `json:"error"`
		Reason string `json:"reason"`
	}{message, reason})
}

// recovered answers a request whose handling panicked, unless it has been answered.
func (x *exchange) recovered(cause any) {
	switch {
	case cause == nil:
		return
	case cause == http.ErrAbortHandler:
		panic(cause)
	}
	x.Logger.Error("Webhook handler panicked", "cause", cause, "stack", string(debug.Stack()))
	if x.answered {
		x.Refused(refusedPanic)
		return
	}
	x.fail(http.StatusInternalServerError, refusedPanic, "internal error")
}
