package event

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// MaxNameBytes is the longest id or source that is accepted.
const MaxNameBytes = 256

// MaxBytes is the largest number of bytes, 8 PiB, that a connection is believed to have carried. Above it a counter
// of Prometheus, a float64, would lose what other connections add, and an attribute of a span, a signed number,
// could become negative.
const MaxBytes = 1 << 53

// The reasons for which Decode rejects a message. Each of its errors wraps exactly one of them.
var (
	ErrSyntax  = errors.New("not JSON")
	ErrType    = errors.New("wrong type")
	ErrMissing = errors.New("missing field")
	ErrTooLong = errors.New("field too long")
)

// lenient accepts invalid UTF-8, which a reverse proxy might produce: it is replaced by U+FFFD, and the event is not
// lost. It does not check for duplicate names, which costs time.
var lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

// Decode decodes one message. A message with an unknown action or type decodes to ActionUnknown, whatever else it has.
// Decode does not keep body.
func Decode(body []byte) (Event, error) {
	var m message
	if err := json.Unmarshal(body, &m, lenient); err != nil {
		return decodeUnknown(body, err)
	}
	ev := Event{Action: Action(m.Action), Source: m.Source, ID: m.ID}
	if err := ev.checkNames(); err != nil {
		return Event{}, err
	}
	if !m.known() {
		return Event{Action: ActionUnknown, Source: m.Source}, nil
	}
	if len(m.ID) > MaxNameBytes {
		return Event{}, fmt.Errorf("%w: id is over %d bytes", ErrTooLong, MaxNameBytes)
	}
	payload, err := m.payload()
	if err != nil {
		return Event{}, fmt.Errorf("%s: %w", ev.Action, err)
	}
	ev.Payload = payload
	return ev, nil
}

// decodeUnknown decodes a message that is not valid as one of the known actions: another daemon, or a later smithproxy,
// may use other types for its fields. cause is the error of the first attempt.
func decodeUnknown(body []byte, cause error) (Event, error) {
	var head struct {
		Action string `json:"action"`
		Type   string `json:"type"`
		Source string `json:"source"`
	}
	var syntax *jsontext.SyntacticError
	err := json.Unmarshal(body, &head, lenient)
	switch {
	case errors.As(err, &syntax):
		return Event{}, fmt.Errorf("%w: %w", ErrSyntax, err)
	case err != nil:
		return Event{}, fmt.Errorf("%w: %w", ErrType, err)
	}
	if m := (message{Action: head.Action, Type: head.Type}); m.known() {
		return Event{}, fmt.Errorf("%w: %w", ErrType, cause)
	}
	ev := Event{Action: ActionUnknown, Source: head.Source}
	if head.Action == "" {
		return Event{}, fmt.Errorf("%w: action", ErrMissing)
	}
	return ev, ev.checkNames()
}

func (m *message) known() bool {
	if m.Type != "proxy" && m.Type != "" {
		return false
	}
	switch Action(m.Action) {
	case ActionPing, ActionNeighbor, ActionStart, ActionStop, ActionInfo, ActionAccess, ActionContent:
		return true
	}
	return false
}

func (ev *Event) checkNames() error {
	switch {
	case ev.Action == "":
		return fmt.Errorf("%w: action", ErrMissing)
	case ev.Source == "":
		return fmt.Errorf("%w: source", ErrMissing)
	case len(ev.Source) > MaxNameBytes:
		return fmt.Errorf("%w: source is over %d bytes", ErrTooLong, MaxNameBytes)
	}
	return nil
}

func (m *message) payload() (any, error) {
	switch Action(m.Action) {
	case ActionPing:
		return m.ping()
	case ActionNeighbor:
		return m.neighbor()
	}
	if m.ID == "" {
		return nil, fmt.Errorf("%w: id", ErrMissing)
	}
	if m.Details == nil {
		return nil, fmt.Errorf("%w: details", ErrMissing)
	}
	switch Action(m.Action) {
	case ActionAccess:
		return m.access()
	case ActionInfo:
		return m.info()
	}
	in := m.Details.Info
	if in == nil {
		return nil, fmt.Errorf("%w: details.info", ErrMissing)
	}
	if in.Session == "" {
		return nil, fmt.Errorf("%w: details.info.session", ErrMissing)
	}
	switch Action(m.Action) {
	case ActionStart:
		return Start{Session: in.Session}, nil
	case ActionContent:
		return Content{Side: in.Side, Bytes: int(in.Content)}, nil
	default:
		return in.stop()
	}
}

func (m *message) ping() (any, error) {
	if len(m.Instance) > MaxNameBytes {
		return nil, fmt.Errorf("%w: instance is over %d bytes", ErrTooLong, MaxNameBytes)
	}
	switch {
	case m.Proxies.invalid:
		return nil, fmt.Errorf("%w: proxies is not a list of strings", ErrType)
	case m.ProxiesPlus.invalid:
		return nil, fmt.Errorf("%w: proxies-plus is not a list of strings", ErrType)
	}
	return Ping{
		Instance: m.Instance, Listed: m.Proxies.present, Open: m.Proxies.items,
		Full: m.ProxiesPlus.present, Sessions: openSessions(m.ProxiesPlus.items),
	}, nil
}

// openSessions splits entries of the form `<id>=<session label>`, and ignores others.
func openSessions(labelled []string) []OpenSession {
	var sessions []OpenSession
	for i, entry := range labelled {
		if i%yieldItems == yieldItems-1 {
			runtime.Gosched()
		}
		id, session, found := strings.Cut(entry, "=")
		if found && id != "" && len(id) <= MaxNameBytes && session != "" {
			sessions = append(sessions, OpenSession{id, session})
		}
	}
	return sessions
}

func (m *message) neighbor() (any, error) {
	n := Neighbor{State: NeighborState(m.State), Addresses: m.Addresses}
	if m.Address != "" {
		n.Addresses = append(n.Addresses, m.Address)
	}
	if n.Addresses == nil {
		return nil, fmt.Errorf("%w: addresses", ErrMissing)
	}
	return n, nil
}

func (m *message) access() (any, error) {
	d := m.Details
	if d.Session == "" {
		return nil, fmt.Errorf("%w: details.session", ErrMissing)
	}
	a := Access{Session: d.Session, Policy: PolicyUnknown}
	if d.Policy != nil {
		a.Policy = *d.Policy
	}
	return a, nil
}

func (in *info) stop() (any, error) {
	switch {
	case in.BytesUp == nil:
		return nil, fmt.Errorf("%w: details.info.bytes_up", ErrMissing)
	case in.BytesDown == nil:
		return nil, fmt.Errorf("%w: details.info.bytes_down", ErrMissing)
	}
	if max(*in.BytesUp, *in.BytesDown) > MaxBytes {
		return nil, fmt.Errorf("%w: details.info: over %d bytes", ErrType, uint64(MaxBytes))
	}
	s := Stop{
		Session: in.Session, Policy: in.Policy, BytesUp: *in.BytesUp, BytesDown: *in.BytesDown,
		JA4Client: in.JA4Client, JA4Server: in.JA4Server, JA4IgnoreSNI: in.IgnoreSNI,
	}
	if in.TLS != nil {
		s.TLS, s.SNI = true, in.TLS.SNI
	}
	if in.L7 != nil {
		s.App, s.Details, s.Signatures, s.JA4HTTP = in.L7.App, in.L7.Details, in.L7.Signatures, in.L7.JA4HTTP
	}
	return s, nil
}
