package web

import (
	"encoding/base64"
	"encoding/binary"
	"errors"

	"smithproxy_exporter/exporter/track"
)

// position is where a page ends: among the open and closing connections, which come first, or among the finished ones.
type position struct {
	live track.Cursor
	// before is 0 among open and closing connections. Else the next page begins with the newest finished connection
	// whose number is lower.
	before uint64
}

var errCursor = errors.New("is not a next_cursor of this API")

// The first byte of a cursor.
const (
	cursorLive     = 'l'
	cursorFinished = 'f'
)

// encode returns the position as an opaque string that needs no escaping in a URL.
func (p position) encode() string {
	var text []byte
	if p.before > 0 {
		text = binary.AppendUvarint([]byte{cursorFinished}, p.before)
	} else {
		text = binary.AppendUvarint([]byte{cursorLive}, p.live.Serial)
		text = append(text, p.live.Source...)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func decodePosition(text string) (position, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) < 2 {
		return position{}, errCursor
	}
	number, n := binary.Uvarint(raw[1:])
	rest := raw[1+max(n, 0):]
	switch {
	case n <= 0:
		return position{}, errCursor
	case raw[0] == cursorLive:
		return position{live: track.Cursor{Source: string(rest), Serial: number}}, nil
	case raw[0] == cursorFinished && number > 0 && len(rest) == 0:
		return position{before: number}, nil
	default:
		return position{}, errCursor
	}
}
