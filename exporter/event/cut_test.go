package event_test

import (
	"strings"
	"testing"
	"testing/quick"
	"unicode/utf8"

	"smithproxy_exporter/exporter/event"
)

func TestCut(t *testing.T) {
	tests := []struct {
		name, text string
		limit      int
		want       string
	}{
		{"empty", "", 4, ""},
		{"shorter", "abc", 4, "abc"},
		{"as long", "abcd", 4, "abcd"},
		{"longer", "abcde", 4, "abcd"},
		{"between characters", "aäb", 3, "aä"},
		{"in a character", "aäb", 2, "a"},
		{"in a wide character", "a€b", 3, "a"},
		{"in a character of four bytes", "😀😀", 7, "😀"},
		{"in the first character", "😀", 3, ""},
		{"nothing", "abc", 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := event.Cut(tt.text, tt.limit); got != tt.want {
				t.Errorf("Cut(%q, %d) = %q, want %q", tt.text, tt.limit, got, tt.want)
			}
		})
	}
}

func TestCutKeepsUTF8(t *testing.T) {
	property := func(text string, limit uint8) bool {
		text = strings.ToValidUTF8(text, "?")
		got := event.Cut(text, int(limit))
		// Not more than the rest of one character goes beyond what the limit asks for.
		short := len(got) < min(len(text), int(limit))-(utf8.UTFMax-1)
		return utf8.ValidString(got) && strings.HasPrefix(text, got) && len(got) <= int(limit) && !short
	}
	if err := quick.Check(property, nil); err != nil {
		t.Error(err)
	}
}
