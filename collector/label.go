package collector

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"smithproxy_exporter/exporter/event"
)

// maxLabelBytes is the length of a label value that came off the wire.
const maxLabelBytes = 128

// label makes a valid and readable label value of what somebody on the network chose. client_golang
// panics on a value that is not UTF-8.
func label(s string) string {
	if plain(s) {
		return s
	}
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, s)
	return event.Cut(s, maxLabelBytes)
}

// plain reports whether s is short printable ASCII, as nearly all values are.
func plain(s string) bool {
	if len(s) > maxLabelBytes {
		return false
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
