package event

import (
	"strings"
	"unicode/utf8"
)

// Cut shortens s to at most limit bytes without splitting a character. The result does not keep s in memory.
func Cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return strings.Clone(s[:limit])
}
