package access

import (
	"fmt"
	"path"
	"strings"
)

// Glob is a pattern for proxy names, as in path.Match: `*` matches any text, `?` any one character, `[a-c]` one of a set,
// and none of them matches a `/`.
type Glob string

// UnmarshalText parses a pattern. It fails for a pattern that path.Match rejects.
func (g *Glob) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errMissing
	}
	if _, err := path.Match(string(text), ""); err != nil {
		return fmt.Errorf("%q is not a pattern: %w", text, err)
	}
	*g = Glob(text)
	return nil
}

func (g Glob) match(source string) bool {
	ok, err := path.Match(string(g), source)
	return ok && err == nil
}

// meta are the special characters of a Glob.
const meta = `*?[\`

// Names are compiled Globs: a proxy matches if one of them does. They are safe for concurrent use.
type Names struct {
	literals map[string]bool
	// prefixes are the patterns whose only special character is a `*` at the end, without it.
	prefixes []string
	globs    []Glob
}

// NewNames compiles globs.
func NewNames(globs []Glob) Names {
	n := Names{literals: map[string]bool{}}
	for _, g := range globs {
		prefix, star := strings.CutSuffix(string(g), "*")
		switch {
		case strings.ContainsAny(prefix, meta):
			n.globs = append(n.globs, g)
		case star:
			n.prefixes = append(n.prefixes, prefix)
		default:
			n.literals[string(g)] = true
		}
	}
	return n
}

// Match reports whether one of the globs matches a proxy.
func (n *Names) Match(source string) bool {
	if n.literals[source] {
		return true
	}
	for _, p := range n.prefixes {
		if strings.HasPrefix(source, p) && strings.IndexByte(source[len(p):], '/') < 0 {
			return true
		}
	}
	for _, g := range n.globs {
		if g.match(source) {
			return true
		}
	}
	return false
}
