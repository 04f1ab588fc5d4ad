package page

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The lengths in characters at which texts are cut. The peers of a proxy choose names of up to 64 KiB.
const (
	shortText = 64  // in a cell
	longText  = 300 // elsewhere; the rest is behind a button
)

// visible returns a text in which characters that cannot be seen, or that change the direction of what follows, are
// replaced by their code, as in \u202e. The script row.js does the same.
func visible(s string) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// lines returns a text of several lines, each of them visible.
func lines(s string) string {
	all := strings.Split(s, "\n")
	for i, line := range all {
		all[i] = visible(line)
	}
	return strings.Join(all, "\n")
}

// cut returns the first n characters of a text, and whether there are more.
func cut(s string, n int) (short string, more bool) {
	if len(s) <= n {
		return s, false
	}
	for i := range s {
		if n == 0 {
			return s[:i], true
		}
		n--
	}
	return s, false
}

// shortened returns a visible text of at most n characters, and an ellipsis if there are more.
func shortened(s string, n int) string {
	text, more := cut(s, n)
	if more {
		return text + "…"
	}
	return text
}

// short returns a text for a cell: visible, and cut with an ellipsis.
func short(s string) string { return shortened(visible(s), shortText) }

// long is a text that may be too long to show at once.
type long struct {
	Begin string
	// Whole is the whole text, "" if Begin is.
	Whole string
	// Length is the number of bytes.
	Length int
}

func newLong(s string) long {
	whole := visible(s)
	begin, more := cut(whole, longText)
	if !more {
		return long{Begin: begin, Length: len(s)}
	}
	return long{begin, whole, len(s)}
}
