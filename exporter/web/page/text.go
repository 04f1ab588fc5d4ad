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

// maxMarks is how many marks, such as accents, a letter may have. More would be drawn over what is above and below.
const maxMarks = 3

// visible returns a text in which characters that cannot be seen, that change the direction of what follows, or that are
// piled on a letter, are replaced by their code, as in \u202e. The script row.js does the same.
func visible(s string) string {
	if isVisible(s) {
		return s
	}
	var b strings.Builder
	marks := 0
	for i, r := range s {
		marks = countMarks(marks, r)
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case unicode.IsPrint(r) && marks <= maxMarks:
			b.WriteRune(r)
		case r > 0xFFFF:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

func isVisible(s string) bool {
	marks := 0
	for _, r := range s {
		if marks = countMarks(marks, r); marks > maxMarks || r == utf8.RuneError || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// countMarks returns how many marks there are in a row, up to and including r.
func countMarks(before int, r rune) int {
	if !unicode.Is(unicode.M, r) {
		return 0
	}
	return before + 1
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
