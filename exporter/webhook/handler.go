// Package webhook receives what smithproxies post and answers it.
//
// Access-requests need an answer in every state of the exporter. The proxy blocks until it gets one, and
// since October 2026 it fails closed: it lets a connection pass only after a 2xx answer that says
// "accept", and blocks it after anything else. So an access-request always gets status 200 with an
// explicit accept or reject. The verdict is computed and sent before anything else sees the request.
// Where the rules cannot be asked (the body cannot be decoded, was cut off or is too large, or the
// exporter has a defect), the answer is the default verdict of the rules in force, and says so with the
// key "error". Only clients that do not speak for the proxy that asks get no verdict: 404 for a wrong
// secret, 403 for a secret, a client certificate or an address of others.
//
// Access-requests have a share of every limit for themselves: some connections over the bound are for
// them only; their bodies need none of the memory that large bodies wait for; the rate of a source
// limits only what comes of them, not their answers; and the TLS handshakes of clients that have shown a
// valid secret do not wait for those of others.
//
// Every other event is answered once it has been taken, with status 202 where the proxy shall list its
// open connections. A newer proxy tries a second time only if it could not connect, and drops events
// while 256 are unsent, so a slow answer loses events.
package webhook

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"smithproxy_exporter/exporter/access"
	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/track"
)

// Intake takes what was received. Its methods are called from many goroutines, and fail only once the
// exporter is stopping. Event may wait, and reports whether the answer shall ask the proxy for a list of
// all that is open. Decision must not wait, and reports false if it has no room for the decision.
type Intake interface {
	Event(ev event.Event, at time.Time) (ask bool, err error)
	Decision(d track.Decision) (queued bool, err error)
}

// Decider answers access-requests. It must not wait for anything.
type Decider interface {
	// Decide applies the rules.
	Decide(q access.Request) access.Decision
	// Default returns the default verdict for a proxy, "" for one that is not known.
	Default(source string) access.Decision
}

// Metrics counts. Its methods are called from many goroutines.
type Metrics interface {
	// Refused is called with one of Refusals for each request that was not accepted.
	Refused(reason string)
	// AccessFallback is called with one of Fallbacks for each access-request that was answered with the default
	// verdict because the rules could not be asked.
	AccessFallback(reason string)
	// ConnectionRefused is called with one of ConnectionRefusals for each connection that was refused, or closed for
	// another one.
	ConnectionRefused(reason string)
	// HandshakeFailed is called with one of HandshakeReasons for each failed TLS handshake.
	HandshakeFailed(reason string)
}

// Options are what a Handler works with.
type Options struct {
	Door    *Door
	Decider Decider
	Intake  Intake
	Metrics Metrics
	// Now is the clock. Events carry no time, so the time of receipt is all there is.
	Now func() time.Time
	// MaxBody is the largest body that is read, in bytes.
	MaxBody int64
	Limits  Limits
	Logger  *slog.Logger
}

// Handler serves POST /webhook/<secret> and refuses everything else.
type Handler struct {
	Options
	memory *memory
	// events and decisions are limited for each source, apart from each other; unauthenticated for each client.
	events, decisions *rate[string]
	unauthenticated   *rate[netip.Addr]
	warnings          *warnings
}

// NewHandler returns a Handler.
func NewHandler(o Options) *Handler {
	now := o.Now()
	return &Handler{
		Options: o,
		memory:  newMemory(int64(o.Limits.BodyMemory), o.MaxBody),
		events:  newRate[string](o.Limits.EventsPerSecond, now), decisions: newRate[string](o.Limits.EventsPerSecond, now),
		unauthenticated: newRate[netip.Addr](o.Limits.UnauthenticatedPerSecond, now),
		warnings:        newWarnings(o.Logger),
	}
}

// BodyBytes returns the memory that large bodies take, in bytes.
func (h *Handler) BodyBytes() int64 { return h.memory.taken() }

var (
	answerDone    = []byte("{}\n")
	answerContent = []byte(`{"action":"none"}` + "\n")
)

// prefix is the path that a secret stands behind.
const prefix = "/webhook/"

// ServeHTTP receives one event.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, _ := r.Context().Value(connKey{}).(*conn)
	x := exchange{Handler: h, w: w, r: r, conn: c, at: h.Now()}
	a := h.Door.admission.Load()
	if c != nil && !c.allowed(a) {
		x.closeAfter()
		x.refuse(http.StatusForbidden, refusedAddress, "this address is not allowed")
		return
	}
	if secret, ok := strings.CutPrefix(r.URL.Path, prefix); ok {
		x.secret = a.secret(secret)
	}
	if x.secret == nil {
		x.noSecret()
		return
	}
	if c != nil && !c.client.known.Load() {
		c.client.known.Store(true)
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		var ok bool
		if x.certificates, ok = a.certificate(r.TLS.PeerCertificates[0]); !ok {
			x.refuse(http.StatusForbidden, refusedCertificate, "this client certificate is not allowed")
			return
		}
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		x.refuse(http.StatusMethodNotAllowed, refusedMethod, "only POST is served here")
		return
	}
	x.body = bodies.Get().(*body)
	defer x.end()
	defer func() { x.recovered(recover()) }()
	x.serve()
}

// noSecret refuses a request without a valid secret.
func (x *exchange) noSecret() {
	addr := addressOfText(x.r.RemoteAddr)
	if !x.unauthenticated.allow(network(addr), x.at) {
		x.closeAfter()
		x.refuse(http.StatusTooManyRequests, refusedSecretRate, "too many requests without a valid secret")
		return
	}
	x.refuse(http.StatusNotFound, refusedSecret, "no such webhook")
}

// addressOfText returns the address of host:port, invalid if it has none.
func addressOfText(hostPort string) netip.Addr {
	parsed, err := netip.ParseAddrPort(hostPort)
	if err != nil {
		return netip.Addr{}
	}
	return parsed.Addr().Unmap().WithZone("")
}

// exchange is one request, and its answer.
type exchange struct {
	*Handler
	w    http.ResponseWriter
	r    *http.Request
	conn *conn // nil if the listener has no limits
	at   time.Time
	// secret is what the secret speaks for, and certificates what the client certificate does; nil without one.
	secret       *grant
	certificates []*grant
	body         *body
	// source is the proxy, once it is known.
	source   string
	answered bool
	busy     bool
}

// end lets the connection and the memory be used by others.
func (x *exchange) end() {
	x.body.release(x.memory)
	if x.conn == nil {
		return
	}
	x.conn.answered.Add(1)
	if x.busy {
		x.conn.busy.Add(-1)
	}
}

// speaksFor reports whether the client may send what comes from a source. An access-request that was cut off before
// its source says nothing of any proxy, and leads to nothing but its answer.
func (x *exchange) speaksFor(source string) bool {
	if !x.secret.speaksFor(source) {
		return false
	}
	return x.certificates == nil || slices.ContainsFunc(x.certificates, func(g *grant) bool { return g.speaksFor(source) })
}

func (x *exchange) serve() {
	if !x.read() {
		return
	}
	if x.conn != nil {
		// Whole: the connection waits for the exporter now, not the other way round.
		x.conn.busy.Add(1)
		x.busy = true
	}
	ev, err := event.Decode(x.body.data)
	if err != nil {
		x.fail(http.StatusBadRequest, reason(err), err.Error())
		return
	}
	x.source = ev.Source
	if !x.speaksFor(ev.Source) {
		x.refuseSource()
		return
	}
	switch payload := ev.Payload.(type) {
	case event.Access:
		x.access(ev, payload)
	case event.Content:
		x.take(ev, answerContent)
	case nil:
		// An action or a type of message that is not known. It may be an access-request still.
		if source, ok := event.PartialAccess(x.body.data); ok {
			x.fallback(source, refusedType)
			return
		}
		x.take(ev, answerDone)
	default:
		x.take(ev, answerDone)
	}
}

func (x *exchange) take(ev event.Event, done []byte) {
	if x.conn != nil && x.conn.reserved {
		x.closeAfter()
		x.refuse(http.StatusServiceUnavailable, refusedConnections, "too many connections at once")
		return
	}
	// A body may have taken seconds to arrive while others of its source were counted.
	if !x.events.allow(ev.Source, x.at) && !x.events.allow(ev.Source, x.Now()) {
		x.refuse(http.StatusTooManyRequests, refusedRate, "too many events of this source")
		return
	}
	ask, err := x.Intake.Event(ev, x.at)
	switch {
	case err != nil:
		x.refuse(http.StatusServiceUnavailable, refusedStopping, "the exporter is stopping")
	case ask:
		// The proxy answers this status with a ping that lists all that is open.
		x.answer(http.StatusAccepted, done)
	default:
		x.answer(http.StatusOK, done)
	}
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
	source, ok := event.PartialAccess(x.body.data)
	if !ok {
		x.refuse(status, reason, message)
		return
	}
	x.source = source
	if source != "" && !x.speaksFor(source) {
		x.refuseSource()
		return
	}
	x.fallback(source, reason)
}

// refuseSource refuses what the client does not speak for, access-requests included: a verdict for a proxy is for that
// proxy only.
func (x *exchange) refuseSource() {
	x.refuse(http.StatusForbidden, refusedSource, "the secret or the client certificate is not for this source")
}

func (x *exchange) refuse(status int, reason, message string) {
	x.Metrics.Refused(reason)
	x.warnings.warn(x.at, reason, "Refused a webhook request", "reason", reason, "peer", x.r.RemoteAddr, "proxy", x.source)
	x.w.Header()["Content-Type"] = contentJSON
	x.w.WriteHeader(status)
	// An answer that does not arrive changes nothing here.
	_ = json.NewEncoder(x.w).Encode(struct {
		Error  string `json:"error"`
		Reason string `json:"reason"`
	}{message, reason})
}

// closeAfter closes the connection after the answer.
func (x *exchange) closeAfter() { x.w.Header().Set("Connection", "close") }

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
		x.Metrics.Refused(refusedPanic)
		return
	}
	x.fail(http.StatusInternalServerError, refusedPanic, "internal error")
}
