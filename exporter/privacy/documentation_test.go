package privacy

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// TestDocumentation compares the sensitive names with those that docs/privacy.md lists.
func TestDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/privacy.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string][]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| (that end in|keys|logins|single sign-on) \| (.*) \|$`).FindAllSubmatch(page, -1) {
		kind := "names"
		if string(row[1]) == "that end in" {
			kind = "endings"
		}
		for _, name := range regexp.MustCompile("`([a-z]+)`").FindAllSubmatch(row[2], -1) {
			listed[kind] = append(listed[kind], string(name[1]))
		}
	}
	for kind, known := range map[string][]string{"names": knownParameters, "endings": knownEndings} {
		slices.Sort(listed[kind])
		if want := slices.Sorted(slices.Values(known)); !slices.Equal(listed[kind], want) {
			t.Errorf("the page lists the %s\n%q\nwant\n%q", kind, listed[kind], want)
		}
	}
}

// TestKnownNamesAreCanonical expects that each known name is one that is compared.
func TestKnownNamesAreCanonical(t *testing.T) {
	for _, name := range append(slices.Clone(knownParameters), knownEndings...) {
		if canonical(name) != name || len(name) > maxParameter {
			t.Errorf("%q is compared as %q", name, canonical(name))
		}
	}
}
