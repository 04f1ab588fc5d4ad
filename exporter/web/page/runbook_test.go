package page

import (
	"slices"
	"testing"
)

func TestRunbookParts(t *testing.T) {
	got := runbookParts("\n**Meaning.** The `x_total` of [SmithproxyDown](#smithproxydown), see\n[a](b.md) or [c](https://d/).\n\n    curl a\n    curl b\n\n```\nd\n```\n")
	want := []runbookPart{
		{Text: []span{
			{}, {Text: "Meaning.", Kind: "strong"}, {Text: " The "}, {Text: "x_total", Kind: "code"}, {Text: " of "},
			{Text: "SmithproxyDown", Kind: "link", Path: "/runbooks/SmithproxyDown"}, {Text: ", see\n"}, {Text: "a"}, {Text: " or "},
			{Text: "c", Kind: "link", Path: "https://d/"}, {Text: "."},
		}},
		{Code: "curl a\ncurl b"},
		{Code: "d\n"},
	}
	if len(got) != len(want) {
		t.Fatalf("%d parts: %q", len(got), got)
	}
	for i := range want {
		if got[i].Code != want[i].Code || !slices.Equal(got[i].Text, want[i].Text) {
			t.Errorf("part %d: %q, want %q", i, got[i], want[i])
		}
	}
}
