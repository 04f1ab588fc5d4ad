// Package privacy removes from events what the operator does not want to be kept: credentials in URLs, and the
// addresses of clients. It does no I/O and has no clock.
//
// The pipeline applies a Policy to each event and each access decision as it takes them, after the access rules have
// seen the real address. State, store, spans, metrics, API and logs only see the result.
//
// What a Policy returns is stable: applied again, it changes nothing. Equal addresses stay equal, which is what
// connections and decisions are matched by.
package privacy

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"
	"sync"

	"smithproxy_exporter/exporter/event"
)

// Policy says what is kept of URLs and addresses. A nil Policy keeps everything. It is safe for concurrent use.
type Policy struct {
	urls      URLs
	addresses Addresses
	sensitive map[string]struct{}
	hides     bool       // addresses are not kept in full
	hashes    *sync.Pool // of keyed hashes; nil unless addresses are hashed
	form      string
	// requestForm names urls and sensitive.
	requestForm string
}

// New returns the policy of a valid configuration. The key is for hashed addresses; see Config.NeedsKey.
func New(c Config, key []byte) *Policy {
	p := &Policy{
		urls: c.URLs, addresses: c.ClientAddresses, hides: c.ClientAddresses != AddressesFull, sensitive: map[string]struct{}{},
	}
	for _, name := range knownParameters {
		p.sensitive[name] = struct{}{}
	}
	for _, name := range c.SensitiveParameters {
		p.sensitive[canonical(string(name))] = struct{}{}
	}
	names := fnv.New32a()
	fmt.Fprintf(names, "%s\n", p.urls)
	for _, name := range slices.Sorted(maps.Keys(p.sensitive)) {
		fmt.Fprintf(names, "%s\n", name)
	}
	p.requestForm = fmt.Sprintf("%08x", names.Sum32())
	switch c.ClientAddresses {
	case AddressesTruncated:
		p.form = "t"
	case AddressesHashed:
		p.hashes = newHashes(key)
		p.form = "h" + p.hash("form")[len(hashPrefix):][:formDigits]
	}
	return p
}

// formDigits is how much of a hash tells keys apart.
const formDigits = 6

// NeedsKey reports whether New needs a key.
func (c Config) NeedsKey() bool { return c.ClientAddresses == AddressesHashed }

// Event returns the event with its URLs and client addresses as they are to be kept. It does not change ev.
func (p *Policy) Event(ev event.Event) event.Event {
	if p == nil {
		return ev
	}
	ev.ID = p.ID(ev.ID)
	switch m := ev.Payload.(type) {
	case event.Stop:
		ev.Payload = p.stop(m, ev.Payload)
	case event.Start:
		if p.hidesAddresses() {
			m.Session = p.Session(m.Session)
			ev.Payload = m
		}
	case event.Info:
		if p.hidesAddresses() {
			ev.Payload = p.info(m)
		}
	case event.Access:
		if p.hidesAddresses() {
			m.Session = p.Session(m.Session)
			ev.Payload = m
		}
	case event.Neighbor:
		if p.hidesAddresses() {
			m.Addresses = mapped(m.Addresses, p.neighbor)
			ev.Payload = m
		}
	case event.Ping:
		if p.hidesAddresses() {
			ev.Payload = p.ping(m)
		}
	}
	return ev
}

// stop returns unchanged if the policy has no effect on m, which spares an allocation.
func (p *Policy) stop(m event.Stop, unchanged any) any {
	details, omitted := p.Requests(m.Details)
	session := p.Session(m.Session)
	if omitted == 0 && session == m.Session && (len(details) == 0 || &details[0] == &m.Details[0]) {
		return unchanged
	}
	m.Session, m.Details = session, details
	m.DetailsOmitted += omitted
	return m
}

func (p *Policy) info(m event.Info) event.Info {
	if m.Statistics != nil {
		s := *m.Statistics
		s.Session = p.Session(s.Session)
		m.Statistics = &s
	}
	if m.Echo != nil {
		e := *m.Echo
		e.Session = p.Session(e.Session)
		m.Echo = &e
	}
	return m
}

func (p *Policy) ping(m event.Ping) event.Ping {
	m.Open = mapped(m.Open, p.ID)
	m.Sessions = slices.Clone(m.Sessions)
	for i := range m.Sessions {
		s := &m.Sessions[i]
		s.ID, s.Session = p.ID(s.ID), p.Session(s.Session)
	}
	return m
}

// mapped returns the list with f applied to each text. It copies the list once a text changes.
func mapped(list []string, f func(string) string) []string {
	copied := false
	for i, text := range list {
		changed := f(text)
		if changed == text {
			continue
		}
		if !copied {
			list, copied = slices.Clone(list), true
		}
		list[i] = changed
	}
	return list
}

// neighbor leaves what is too long for an address: the tracker ignores that.
func (p *Policy) neighbor(address string) string {
	if len(address) > event.MaxNameBytes {
		return address
	}
	return p.Address(address)
}

// ID returns a connection's id. An access-request has a session label as its id.
func (p *Policy) ID(id string) string {
	if !p.hidesAddresses() || strings.IndexByte(id, '+') < 0 {
		return id
	}
	return p.Session(id)
}

// Requests returns the requests of the L7 engine as they are to be kept, and how many were left out. The list is the
// given one if nothing changes.
func (p *Policy) Requests(list []string) (kept []string, omitted int) {
	switch {
	case p == nil || p.urls == URLsFull || len(list) == 0:
		return list, 0
	case p.urls == URLsNone:
		return nil, len(list)
	}
	kept = mapped(list, p.URL)
	if p.urls != URLsHost || !slices.Contains(kept, "") {
		return kept, 0
	}
	named := make([]string, 0, len(kept))
	for _, url := range kept {
		if url != "" {
			named = append(named, url)
		}
	}
	return named, len(kept) - len(named)
}

// URL returns what is to be kept of a URL, or of another text that an L7 engine calls a request; "" if nothing is.
func (p *Policy) URL(text string) string {
	if p == nil {
		return text
	}
	switch p.urls {
	case URLsFull:
		return text
	case URLsNoQuery:
		if i := strings.IndexAny(text, "?#"); i >= 0 {
			text = text[:i]
		}
		return p.redact(text)
	case URLsHost:
		return origin(text)
	case URLsNone:
		return ""
	default:
		return p.redact(text)
	}
}

// Form identifies the form that client addresses have; "" is the full one. Texts can be compared if they have the
// same form. Hashes by different keys have different forms.
func (p *Policy) Form() string {
	if p == nil {
		return ""
	}
	return p.form
}

// RequestForm identifies what is kept of requests; "" is everything. Requests that were kept in one form may hold what
// another one leaves out.
func (p *Policy) RequestForm() string {
	if p == nil || p.urls == URLsFull {
		return ""
	}
	return p.requestForm
}

// Restored returns a session label that was stored in the given form, in the form of the policy. If it cannot be
// converted, its client is unknown, and converted is false.
func (p *Policy) Restored(label, form string) (restored string, converted bool) {
	switch form {
	case p.Form():
		return label, true
	case "":
		return p.Session(label), true
	default:
		return event.WithoutClient(label), false
	}
}
