// Package logging keeps log lines from being forged and from flooding. Much of what is logged comes from the network:
// names, addresses, errors that quote them.
package logging

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Writer returns a writer of log lines to w, one line a Write, that escapes what cannot be printed: the JSON format
// leaves control characters of Unicode (U+009B begins terminal sequences, U+202E reverses a line) as they are. In both
// formats such characters are within quotes, where \uXXXX stands for them.
func Writer(w io.Writer) io.Writer { return &writer{w} }

type writer struct{ out io.Writer }

func (w *writer) Write(line []byte) (int, error) {
	if clean(line) {
		return w.out.Write(line)
	}
	escaped := make([]byte, 0, len(line)+64)
	for rest := line; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			escaped = append(escaped, `\ufffd`...)
		case r == '\n' && size == len(rest), unicode.IsPrint(r):
			escaped = append(escaped, rest[:size]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			escaped = fmt.Appendf(escaped, `\u%04x\u%04x`, high, low)
		default:
			escaped = fmt.Appendf(escaped, `\u%04x`, r)
		}
		rest = rest[size:]
	}
	if _, err := w.out.Write(escaped); err != nil {
		return 0, err
	}
	return len(line), nil
}

// clean reports whether a line is printable ASCII, as nearly all are.
func clean(line []byte) bool {
	for i, b := range line {
		if (b < ' ' || b > '~') && (b != '\n' || i != len(line)-1) {
			return false
		}
	}
	return true
}
