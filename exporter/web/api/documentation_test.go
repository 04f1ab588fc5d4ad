package api_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"smithproxy_exporter/exporter/search"
)

var update = flag.Bool("update", false, "write the table of terms into docs/api.md")

var apiPage = filepath.Join("..", "..", "..", "docs", "api.md")

const termsMark = "<!-- terms -->\n"

// termTable is the table of search.Terms as Markdown.
func termTable() string {
	var b strings.Builder
	b.WriteString("\n| term | value | selects | example |\n| --- | --- | --- | --- |\n")
	for _, t := range search.Terms {
		name := "text"
		if t.Name != "" {
			name = fmt.Sprintf("`%s%s`", t.Name, strings.Join(t.Operators, "` `"+t.Name))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | `%s` |\n", name, t.Value, t.Meaning, t.Example)
	}
	return b.String() + "\n"
}

// TestTermsAreDocumented compares the table in docs/api.md with the terms that the page shows. -update writes it.
func TestTermsAreDocumented(t *testing.T) {
	raw, err := os.ReadFile(apiPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), termsMark)
	if !ok {
		t.Fatalf("%s has no %s", apiPage, termsMark)
	}
	end := strings.Index(rest, "Sizes have the units")
	if end < 0 {
		t.Fatal("the end of the table is not found")
	}
	if *update {
		if err := os.WriteFile(apiPage, []byte(before+termsMark+termTable()+rest[end:]), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if rest[:end] != termTable() {
		t.Errorf("the table in %s is\n%s\nwant\n%s", apiPage, rest[:end], termTable())
	}
}
