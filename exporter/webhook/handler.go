// Package webhook is the way in: it receives what smithproxies post, and answers them.
//
// A proxy stands still while an access-request is unanswered, and loses an event that it cannot
// deliver in five tries. So an access-request is answered as soon as it is decoded, before anything
// else sees it; every other event is answered once it has been taken.
package webhook

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
	"smithproxy_exporter/exporter/verdict"
)

// Intake takes what was received. Its methods are called from many goroutines, and fail only once the
// process is about to end. Event may wait, keeps nothing of body after it returns, and says whether the
// answer shall ask the proxy for all that is open; Decision must not wait.
type Intake interface {
	Event(ev event.Event, at time.Time, body []byte) (ask bool, err error)
	Decision(d track.Decision) error
}

// Decider answers access-requests. It must not wait for anything.
type Decider interface {
	Decide(q verdict.Request) verdict.Decision
}

// Handler serves POST /webhook/<secret>, and refuses everything else.
type Handler struct {
	Secrets Secrets
	Decider Decider
	Intake  Intake
	// Refused is told why a request was not accepted, by one of Refusals.
	Refused func(reason string)
	// Now is the clock: there is no time in the events, so the time of receipt is all there is.
	Now func() time.Time
	// MaxBody is the largest body that is read, in bytes.
	MaxBody int64
	Logger  *slog.Logger
}

// The reasons for which a request is refused.
const (
	refusedSecret   = "secret"
	refusedMethod   = "method"
	refusedSize     = "size"
	refusedBody     = "body" // it ended early, or took too long
	refusedSyntax   = "syntax"
	refusedType     = "type"
	refusedMissing  = "missing"
	refusedTooLong  = "too_long"
	refusedStopping = "stopping" // the process is about to end
	refusedPanic    = "panic"    // a defect of this program
)

// Refusals are all reasons that Refused is called with.
var Refusals = []string{
	refusedSecret, refusedMethod, refusedSize, refusedBody, refusedSyntax, refusedType, refusedMissing,
	refusedTooLong, refusedStopping, refusedPanic,
}

// refusals maps what Decode can say to a reason.
var refusals = []struct {
	err    error
	reason string
}{
	{event.ErrSyntax, refusedSyntax},
	{event.ErrType, refusedType},
	{event.ErrMissing, refusedMissing},
	{event.ErrTooLong, refusedTooLong},
}

var (
	answerDone    = []byte("{}\n")
	answerContent = []byte(`{"action":"none"}` + "\n")
)

// prefix is the path that a secret stands behind.
const prefix = "/webhook/"

// ServeHTTP receives one event.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answered := false
	defer func() { h.recover(recover(), w, answered) }()
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
	at := h.Now()
	body := bodies.Get().(*bytes.Buffer)
	defer putBody(body)
	if !h.read(w, r, body) {
		return
	}
	ev, err := event.Decode(body.Bytes())
	if err != nil {
		h.refuse(w, http.StatusBadRequest, reason(err), err.Error())
		return
	}
	switch payload := ev.Payload.(type) {
	case event.Access:
		decision := h.decide(w, ev, payload, at)
		answered = true
		h.record(decision)
	case event.Content:
		h.take(w, ev, at, body.Bytes(), answerContent)
	default:
		h.take(w, ev, at, body.Bytes(), answerDone)
	}
}

func (h *Handler) take(w http.ResponseWriter, ev event.Event, at time.Time, body, done []byte) {
	ask, err := h.Intake.Event(ev, at, body)
	switch {
	case err != nil:
		h.refuse(w, http.StatusServiceUnavailable, refusedStopping, "the exporter is stopping")
	case ask:
		// The proxy answers this status with a ping that names all that is open.
		answer(w, http.StatusAccepted, done)
	default:
		answer(w, http.StatusOK, done)
	}
}

// decide answers, and sends the answer off.
func (h *Handler) decide(w http.ResponseWriter, ev event.Event, a event.Access, at time.Time) track.Decision {
	d := h.Decider.Decide(verdict.Request{
		Source: ev.Source, Session: event.ParseSession(a.Session), Policy: a.Policy, At: at,
	})
	answer(w, http.StatusOK, encodeDecision(d))
	// An answer that cannot be sent is no reason not to record the decision.
	_ = http.NewResponseController(w).Flush()
	answered := h.Now()
	if answered.Before(at) {
		answered = at // the clock was set back
	}
	return track.Decision{
		Source: ev.Source, ID: d.ID, ConnectionID: ev.ID, Label: a.Session, Policy: a.Policy,
		Verdict: d.Verdict, Rule: d.Rule, DryRunRule: d.DryRunRule, Received: at, Answered: answered,
	}
}

// record lets the rest of the exporter know of a decision; the proxy has its answer by then.
func (h *Handler) record(d track.Decision) {
	if h.Intake.Decision(d) != nil {
		h.Refused(refusedStopping)
	}
}

// encodeDecision is what the proxy gets, and echoes in the connection-info of the connection.
func encodeDecision(d verdict.Decision) []byte {
	encoded, err := json.Marshal(struct {
		Response event.Verdict `json:"access-response"`
		Rule     string        `json:"rule"`
		Decision string        `json:"decision"`
	}{d.Verdict, d.Rule, d.ID})
	if err != nil {
		panic(err) // Strings can be encoded.
	}
	return append(encoded, '\n')
}

// read reads the whole body into buf, or answers and returns false.
func (h *Handler) read(w http.ResponseWriter, r *http.Request, buf *bytes.Buffer) bool {
	if r.ContentLength > h.MaxBody {
		h.refuseSize(w)
		return false
	}
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, h.MaxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return true
	case errors.As(err, &tooLarge):
		h.refuseSize(w)
	default:
		h.refuse(w, http.StatusBadRequest, refusedBody, "body could not be read")
	}
	return false
}

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

func answer(w http.ResponseWriter, status int, body []byte) {
	header := w.Header()
	header["Content-Type"] = contentJSON
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	// The proxy tries again when the answer does not reach it.
	_, _ = w.Write(body)
}

var contentJSON = []string{"application/json"}

func (h *Handler) refuseSize(w http.ResponseWriter) {
	h.refuse(w, http.StatusRequestEntityTooLarge, refusedSize,
		"body is over "+strconv.FormatInt(h.MaxBody, 10)+" bytes")
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

// recover answers a request whose handler panicked, if it has not been answered yet.
func (h *Handler) recover(cause any, w http.ResponseWriter, answered bool) {
	switch {
	case cause == nil:
		return
	case cause == http.ErrAbortHandler:
		panic(cause)
	}
	h.Logger.Error("Webhook handler panicked", "cause", cause)
	if answered {
		h.Refused(refusedPanic)
		return
	}
	h.refuse(w, http.StatusInternalServerError, refusedPanic, "internal error")
}

func reason(err error) string {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.reason
		}
	}
	return refusedSyntax
}
