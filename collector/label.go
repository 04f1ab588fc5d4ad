package collector

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"smithproxy_exporter/exporter/event"
)

// maxLabelBytes is the maximum length of a label value from the network.
const maxLabelBytes = 128

// label makes a valid and readable label value of a string from the network. client_golang panics on values that
// are not valid UTF-8.
func label(s string) string {
	if plain(s) {
		return s
	}
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	s = strings.Map(func(r rune) rune {
		// What cannot be seen, or changes how the rest is seen: control characters, U+202E, U+200B, U+2028.
		if !unicode.IsPrint(r) {
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
