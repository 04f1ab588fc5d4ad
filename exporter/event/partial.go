package event

import (
	"bytes"

	"github.com/go-json-experiment/json/jsontext"
)

// PartialAccess reports whether body is an access-request, and from which proxy. It is for a body that Decode rejects,
// or of which only the beginning was received: a proxy that waits for a verdict must get one all the same. source is ""
// if the readable part does not have it.
//
// smithproxy writes the keys of a message in alphabetical order, so the action comes first and the
// source after the details. Once the action is another one, PartialAccess reads no further: the rest can be
// megabytes, of many clients at once.
func PartialAccess(body []byte) (source string, ok bool) {
	// The decoder reads from a bytes.Buffer without copying it.
	d := jsontext.NewDecoder(bytes.NewBuffer(body), lenient)
	if open, err := d.ReadToken(); err != nil || open.Kind() != '{' {
		return "", false
	}
	for d.PeekKind() == '"' {
		token, err := d.ReadToken()
		if err != nil {
			break
		}
		name := token.String()
		if d.PeekKind() != '"' {
			if d.SkipValue() != nil {
				break
			}
			continue
		}
		value, err := d.ReadToken()
		if err != nil {
			break
		}
		switch name {
		case "action":
			if value.String() != string(ActionAccess) {
				return "", false
			}
			ok = true
		case "source":
			source = value.String()
		}
	}
	if !ok || len(source) > MaxNameBytes {
		return "", ok
	}
	return source, true
}
