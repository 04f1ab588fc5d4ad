package api

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"smithproxy_exporter/exporter/search"
)

// The number of connections of a page.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// ConnectionQuery is a parsed search. The zero value is a page of everything.
type ConnectionQuery struct {
	query search.Query
	limit int
	at    position
}

// shorthands are the parameters that stand for a term of the query language with one value.
var shorthands = []string{"source", "client", "server", "app", "state", "reason", "transport"}

var (
	errUnknown  = errors.New("no such parameter")
	errRepeated = errors.New("must not be repeated")
	errLimit    = fmt.Errorf("must be a number from 1 to %d", maxLimit)
	errCursor   = errors.New("is not a next_cursor of this API")
)

// ParseConnectionQuery parses the parameters of /api/v1/connections: q, its shorthands, limit and cursor; format is left
// to the caller. Parameters that it does not know are an error. Errors are of type *InputError.
func ParseConnectionQuery(values url.Values) (ConnectionQuery, error) {
	q := ConnectionQuery{limit: defaultLimit}
	for name, texts := range values {
		if err := q.set(name, texts); err != nil {
			return ConnectionQuery{}, err
		}
	}
	return q, nil
}

func (q *ConnectionQuery) set(name string, texts []string) error {
	if len(texts) > 1 {
		return &InputError{name, -1, errRepeated}
	}
	text := texts[0]
	switch name {
	case "format":
		if text != "" && text != "json" && text != "csv" {
			return &InputError{name, -1, errors.New("must be json or csv")}
		}
		return nil
	case "q":
		parsed, err := search.Parse(text)
		if err != nil {
			return inputError("q", err)
		}
		q.query = q.query.And(parsed)
		return nil
	case "limit":
		if text == "" {
			return nil
		}
		limit, err := strconv.Atoi(text)
		if err != nil || limit < 1 || limit > maxLimit {
			return &InputError{name, -1, errLimit}
		}
		q.limit = limit
		return nil
	case "cursor":
		if text == "" {
			return nil
		}
		at, err := decodePosition(text)
		if err != nil {
			return &InputError{name, -1, err}
		}
		q.at = at
		return nil
	}
	for _, short := range shorthands {
		if short != name {
			continue
		}
		if text == "" {
			return nil
		}
		parsed, err := search.Exact(name, text)
		if err != nil {
			return &InputError{name, -1, errors.Unwrap(err)}
		}
		q.query = q.query.And(parsed)
		return nil
	}
	return &InputError{name, -1, errUnknown}
}

// inputError returns the InputError for a mistake in a query.
func inputError(field string, err error) error {
	if wrong, ok := errors.AsType[*search.Error](err); ok {
		return &InputError{field, wrong.Position, err}
	}
	return &InputError{field, -1, err}
}

// position is where a page ends: among the open and closing connections, which come first, or among the finished ones.
type position struct {
	// live is the serial of the last open connection, 0 at the beginning.
	live uint64
	// before is 0 among open and closing connections. Else the next page begins with the newest entry of the history
	// whose number is lower.
	before uint64
}

// The first byte of a cursor.
const (
	cursorLive     = 'l'
	cursorFinished = 'f'
)

// encode returns the position as an opaque string that needs no escaping in a URL.
func (p position) encode() string {
	text := binary.AppendUvarint([]byte{cursorLive}, p.live)
	if p.before > 0 {
		text = binary.AppendUvarint([]byte{cursorFinished}, p.before)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func decodePosition(text string) (position, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) < 2 {
		return position{}, errCursor
	}
	number, n := binary.Uvarint(raw[1:])
	switch {
	case n <= 0 || len(raw) != 1+n || number == 0:
		return position{}, errCursor
	case raw[0] == cursorLive:
		return position{live: number}, nil
	case raw[0] == cursorFinished:
		return position{before: number}, nil
	default:
		return position{}, errCursor
	}
}
