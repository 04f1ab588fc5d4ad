package event

import (
	"runtime"

	"github.com/go-json-experiment/json/jsontext"
)

// list is an array of strings that can be long: a ping lists up to 100,000 connections. The strings share one
// allocation, so that a list costs little more memory than its text. Clone a string that you keep: it would keep the whole list in memory.
type list struct {
	present bool // also if the value is null
	invalid bool // the value is not an array of strings; it is only an error if the message needs it
	items   []string
}

// yieldItems is after how many strings decoding lets other goroutines run. That many take some 30 µs. With few
// processors, other events would otherwise wait until the whole list is decoded.
const yieldItems = 256

// UnmarshalJSONFrom implements json.UnmarshalerFrom.
func (l *list) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*l = list{present: true}
	switch d.PeekKind() {
	case 'n':
		return d.SkipValue()
	case '[':
	default:
		l.invalid = true
		return d.SkipValue()
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	var text []byte
	var ends []int
	for d.PeekKind() != ']' {
		if len(ends)%yieldItems == yieldItems-1 {
			runtime.Gosched()
		}
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		switch value.Kind() {
		case '"':
			// The only error is about invalid UTF-8, which is replaced all the same.
			text, _ = jsontext.AppendUnquote(text, value)
		case 'n': // as encoding/json does
		default:
			l.invalid = true
		}
		ends = append(ends, len(text))
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	if len(ends) == 0 || l.invalid {
		return nil
	}
	whole, start := string(text), 0
	l.items = make([]string, len(ends))
	for i, end := range ends {
		l.items[i], start = whole[start:end], end
	}
	return nil
}
