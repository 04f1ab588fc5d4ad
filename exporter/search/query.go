package search

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Query is a parsed search; the zero value matches everything. It never changes, and is safe for concurrent use.
type Query struct{ terms []term }

// term is one parsed term.
type term struct {
	name    string
	negated bool
	// matches does not allocate. now is in Unix ns.
	matches func(s *Subject, now int64) bool
	needs   Fields
	// source and states narrow a search without looking at connections: the exact name of the proxy, "" for any, and the
	// states that can match, 0 for any.
	source string
	states stateSet
	// since returns the time before which no connection that matches can have ended; nil without a bound.
	since func(now int64) int64
}

const (
	// MaxLength bounds a query in bytes, maxTerms the terms in it.
	MaxLength = 4096
	maxTerms  = 64
)

// Error is a mistake in a query.
type Error struct {
	// Position is the byte at which what is wrong begins, End the byte behind it.
	Position, End int
	// Term is the name of the term, "" outside of one.
	Term string
	Err  error
}

func (e *Error) Error() string {
	if e.Term == "" {
		return e.Err.Error()
	}
	return e.Term + ": " + e.Err.Error()
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

var (
	errTooLong  = fmt.Errorf("the search is longer than %d bytes", MaxLength)
	errTooMany  = fmt.Errorf("there are more than %d terms", maxTerms)
	errNoText   = errors.New("nothing follows the -")
	errNoValue  = errors.New("the value is missing")
	errQuote    = errors.New("the closing quotation mark is missing")
	errOperator = errors.New("wrong operator")
)

// Parse parses a query. Errors are of type *Error.
func Parse(text string) (Query, error) {
	var q Query
	if len(text) > MaxLength {
		return q, &Error{MaxLength, len(text), "", errTooLong}
	}
	for at := 0; ; {
		for at < len(text) && isSpace(text[at]) {
			at++
		}
		if at == len(text) {
			return q, nil
		}
		if len(q.terms) == maxTerms {
			return Query{}, &Error{at, len(text), "", errTooMany}
		}
		w, err := scanWord(text, at)
		if err != nil {
			return Query{}, err
		}
		t, err := w.term()
		if err != nil {
			return Query{}, err
		}
		q.terms = append(q.terms, t)
		at = w.end
	}
}

// And returns a query that matches what both match.
func (q Query) And(o Query) Query { return Query{slices.Concat(q.terms, o.terms)} }

// Exact returns a query for one value of a term, in which commas and asterisks are as themselves. Errors are of type
// *Error.
func Exact(name, value string) (Query, error) {
	w := word{name: name, operator: ":", values: []string{value}, literal: true, valueAt: 0, end: len(value)}
	t, err := w.term()
	if err != nil {
		return Query{}, err
	}
	return Query{[]term{t}}, nil
}

// Needs returns the fields of a Subject that Match looks at.
func (q Query) Needs() (f Fields) {
	for i := range q.terms {
		f |= q.terms[i].needs
	}
	return f
}

// Source returns the proxy that all matching connections are of, "" if there is not just one.
func (q Query) Source() string {
	for i := range q.terms {
		if t := &q.terms[i]; !t.negated && t.source != "" {
			return t.source
		}
	}
	return ""
}

// MayBe reports whether a connection in the state can match.
func (q Query) MayBe(s State) bool {
	for i := range q.terms {
		if t := &q.terms[i]; t.states != 0 && t.states.has(s) == t.negated {
			return false
		}
	}
	return true
}

// Since returns the time before which no matching connection has ended, in Unix ns; ok is false if there is no bound.
func (q Query) Since(now int64) (at int64, ok bool) {
	for i := range q.terms {
		if t := &q.terms[i]; t.since != nil && !t.negated {
			if bound := t.since(now); !ok || bound > at {
				at, ok = bound, true
			}
		}
	}
	return at, ok
}

// Match reports whether a connection matches. It does not allocate.
func (q Query) Match(s *Subject, now int64) bool {
	for i := range q.terms {
		if t := &q.terms[i]; t.matches(s, now) == t.negated {
			return false
		}
	}
	return true
}

// Empty reports whether the query matches everything.
func (q Query) Empty() bool { return len(q.terms) == 0 }

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// word is a term as it is written.
type word struct {
	name, operator string
	values         []string // one at least, separated by commas
	negated        bool
	literal        bool // values are without wildcards
	// start is where it begins, valueAt where its first value does, end is behind it.
	start, valueAt, end int
}

// scanWord reads the word at a position that is not a space.
func scanWord(text string, start int) (word, error) {
	w := word{start: start}
	at := start
	if text[at] == '-' {
		w.negated = true
		if at++; at == len(text) || isSpace(text[at]) {
			return w, &Error{start, at, "", errNoText}
		}
	}
	name := at
	for name < len(text) && (text[name] >= 'a' && text[name] <= 'z' || name > at && text[name] >= '0' && text[name] <= '9') {
		name++
	}
	if operator := operatorAt(text, name); name > at && operator != "" && isTerm(text, at, name) {
		w.name, w.operator = text[at:name], operator
		at = name + len(operator)
	}
	w.valueAt = at
	return w, w.scanValues(text, at)
}

func operatorAt(text string, at int) string {
	for _, operator := range []string{">=", "<=", ">", "<", ":"} {
		if strings.HasPrefix(text[at:], operator) {
			return operator
		}
	}
	return ""
}

// isTerm reports whether what looks like a name and an operator is meant as such: not a URL, and not an IPv6 address.
func isTerm(text string, from, to int) bool {
	if _, ok := find(text[from:to]); ok {
		return true
	}
	if strings.HasPrefix(text[to:], "://") {
		return false
	}
	end := to
	for end < len(text) && !isSpace(text[end]) {
		end++
	}
	_, isAddress := parseHost(text[from:end])
	return !isAddress
}

// scanValues reads the values of a word up to the next space.
func (w *word) scanValues(text string, at int) error {
	var value strings.Builder
	for w.end = at; w.end < len(text) && !isSpace(text[w.end]); w.end++ {
		switch c := text[w.end]; {
		case c == '"':
			length := strings.IndexByte(text[w.end+1:], '"')
			if length < 0 {
				return &Error{w.end, len(text), w.name, errQuote}
			}
			value.WriteString(text[w.end+1 : w.end+1+length])
			w.end += length + 1
		case c == ',' && w.name != "":
			w.values = append(w.values, value.String())
			value.Reset()
		default:
			value.WriteByte(c)
		}
	}
	w.values = append(w.values, value.String())
	return nil
}

// term parses the values of a word.
func (w *word) term() (term, error) {
	t := term{name: w.name, negated: w.negated}
	fail := func(at int, err error) (term, error) { return term{}, &Error{at, w.end, w.name, err} }
	if w.name != "" {
		known, ok := find(w.name)
		if !ok {
			return term{}, &Error{w.start, w.valueAt, "", unknownTerm(w.name)}
		}
		if !slices.Contains(known.Operators, w.operator) {
			return fail(w.start, fmt.Errorf("%w %s: use %s", errOperator, w.operator, strings.Join(known.Operators, " ")))
		}
	}
	for _, v := range w.values {
		if v == "" {
			return fail(w.valueAt, errNoValue)
		}
	}
	if err := compilers[w.name](w, &t); err != nil {
		return fail(w.valueAt, err)
	}
	return t, nil
}

func unknownTerm(name string) error {
	for _, t := range Terms {
		if t.Name != "" && (strings.HasPrefix(t.Name, name) || strings.HasPrefix(name, t.Name)) {
			return fmt.Errorf("there is no term %s; similar is %s", name, t.Name)
		}
	}
	return fmt.Errorf("there is no term %s; text that has : < or > needs quotation marks", name)
}

// instant parses a time, or a duration before now.
func instant(text string) (func(now int64) int64, error) {
	if ago, err := parseDuration(text); err == nil {
		return func(now int64) int64 { return now - int64(ago) }, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if at, err := time.ParseInLocation(layout, text, time.UTC); err == nil && inRange(at) {
			fixed := at.UnixNano()
			return func(int64) int64 { return fixed }, nil
		}
	}
	return nil, fmt.Errorf("%q is neither a duration such as 90s, 15m, 1h30m or 2d nor a time such as 2026-11-24, 2026-11-24T18:00 or 2026-11-24T18:00:00+01:00", text)
}

// inRange reports whether a time can be told in Unix ns.
func inRange(at time.Time) bool { return at.Year() >= 1970 && at.Year() < 2262 }

// host is an address, a network or a name.
type host struct {
	text   pattern
	prefix netip.Prefix // invalid for a name
}

// parseHost parses a host; isAddress is false for a name.
func parseHost(text string) (h host, isAddress bool) {
	if addr, err := netip.ParseAddr(text); err == nil {
		addr = addr.Unmap().WithZone("")
		return host{prefix: netip.PrefixFrom(addr, addr.BitLen())}, true
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return host{}, false
	}
	if addr := prefix.Addr(); addr.Is4In6() && prefix.Bits() >= 96 {
		prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96)
	}
	return host{prefix: prefix}, true
}

func (h *host) matches(name string) bool {
	if !h.prefix.IsValid() {
		return h.text.matches(name)
	}
	if !mayBeAddress(name) {
		return false
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && h.prefix.Contains(addr.Unmap())
}

// mayBeAddress reports false for most names. It avoids the error that ParseAddr would allocate for them.
func mayBeAddress(name string) bool {
	separators := 0
	for i := range len(name) {
		switch c := name[i]; {
		case c == ':', c == '.':
			separators++
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
		default:
			return false
		}
	}
	return separators >= 2
}
