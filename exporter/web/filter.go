package web

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"smithproxy_exporter/exporter/event"
	"smithproxy_exporter/exporter/privacy"
	"smithproxy_exporter/exporter/track"
)

// The number of connections of a page.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// query has the parsed parameters of a request.
type query struct {
	filter
	limit int
	at    position
}

// filter selects connections; a zero field selects all.
type filter struct {
	source, app    string
	client, server host
	state          track.State
	unknown        bool // with state open: those whose proxy is down, and no others
	reason         track.Reason
	transport      event.Transport
}

var (
	errUnknown    = errors.New("no such parameter")
	errRepeated   = errors.New("must not be repeated")
	errLimit      = fmt.Errorf("must be a number from 1 to %d", maxLimit)
	errState      = errors.New("must be open, unknown, closing or finished")
	errReason     = fmt.Errorf("must be one of %v", track.Reasons)
	errTransport  = errors.New("must consist of a-z and 0-9, as in tcp, tls, udp, unix, ssh, quic")
	errNotAddress = errors.New("must be an IP address, a CIDR, or a hashed address as in client-0123456789abcdef")
	errNotCIDR    = errors.New("is not a CIDR")
)

// newQuery parses the parameters of a URL. Its errors begin with the name of the parameter.
func newQuery(rawQuery string) (query, error) {
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return query{}, fmt.Errorf("query string: %w", err)
	}
	q := query{limit: defaultLimit}
	for name, texts := range values {
		if err := q.set(name, texts); err != nil {
			return query{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	return q, nil
}

func (q *query) set(name string, texts []string) (err error) {
	set, ok := parameters[name]
	switch {
	case !ok:
		return errUnknown
	case len(texts) > 1:
		return errRepeated
	case texts[0] == "":
		return nil
	}
	return set(q, texts[0])
}

// parameters are the functions that parse a value, which is not empty, of each parameter.
var parameters = map[string]func(q *query, text string) error{
	"cursor": func(q *query, text string) (err error) {
		q.at, err = decodePosition(text)
		return err
	},
	"limit": func(q *query, text string) (err error) {
		if q.limit, err = strconv.Atoi(text); err != nil || q.limit < 1 || q.limit > maxLimit {
			return errLimit
		}
		return nil
	},
	"source": func(q *query, text string) error { q.source = text; return nil },
	"app":    func(q *query, text string) error { q.app = text; return nil },
	"client": func(q *query, text string) error {
		q.client = parseHost(text)
		if !q.client.prefix.IsValid() && !privacy.IsHash(text) {
			return errNotAddress
		}
		return nil
	},
	"server": func(q *query, text string) error {
		q.server = parseHost(text)
		// The path of a Unix socket is a host as well.
		if !q.server.prefix.IsValid() && strings.Contains(text, "/") && text[0] != '/' {
			return errNotCIDR
		}
		return nil
	},
	"state": func(q *query, text string) error {
		if text == stateUnknown {
			q.state, q.unknown = track.StateOpen, true
			return nil
		}
		for state, name := range stateNames {
			if name == text {
				q.state = state
				return nil
			}
		}
		return errState
	},
	"reason": func(q *query, text string) error {
		if q.reason = track.Reason(text); !slices.Contains(track.Reasons, q.reason) {
			return errReason
		}
		return nil
	},
	"transport": func(q *query, text string) error {
		if strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return errTransport
		}
		q.transport = event.Transport(text)
		return nil
	},
}

// matches reports whether the filter selects a connection. It runs in the pipeline's goroutine, so it makes cheap
// comparisons first, and does not allocate.
func (f *filter) matches(c *track.Connection) bool {
	switch {
	case f.source != "" && f.source != c.Source,
		f.state != 0 && (f.state != c.State || f.unknown != c.IsUnknown()),
		f.reason != "" && f.reason != c.Reason(),
		f.app != "" && f.app != c.App():
		return false
	case f.transport == "" && f.client.text == "" && f.server.text == "":
		return true
	}
	s := c.Session()
	return (f.transport == "" || f.transport == transportOf(c, s)) &&
		(f.client.text == "" || f.client.matches(s.Client.Host)) &&
		(f.server.text == "" || f.server.matches(s.Server.Host) || c.Stop != nil && c.Stop.SNI == f.server.text)
}

// host is a name, an address or a network.
type host struct {
	text   string
	prefix netip.Prefix // invalid for a name
}

func parseHost(text string) host {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap().WithZone("")
		return host{text, netip.PrefixFrom(addr, addr.BitLen())}
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return host{text: text}
	}
	if addr := prefix.Addr(); addr.Is4In6() && prefix.Bits() >= 96 {
		prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96)
	}
	return host{text, prefix}
}

func (h *host) matches(name string) bool {
	if name == h.text {
		return true
	}
	if !h.prefix.IsValid() || !mayBeAddress(name) {
		return false
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && h.prefix.Contains(addr.Unmap())
}

// mayBeAddress reports false for most names. It avoids the error that ParseAddr would allocate for them.
func mayBeAddress(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F', c == ':', c == '.':
		default:
			return false
		}
	}
	return name != ""
}
