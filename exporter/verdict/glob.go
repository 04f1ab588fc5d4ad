package verdict

import (
	"fmt"
	"path"
	"strings"
)

// Glob is a pattern of proxy names: `*` stands for any text, `?` for any one character, `[a-c]` for one of
// some. As in path.Match, none of them stands for a `/`.
type Glob string

// UnmarshalText refuses a pattern that is none.
func (g *Glob) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		return errMissing
	}
	if _, err := path.Match(string(text), ""); err != nil {
		return fmt.Errorf("%q is no pattern: %w", text, err)
	}
	*g = Glob(text)
	return nil
}

func (g Glob) match(source string) bool {
	ok, err := path.Match(string(g), source)
	return ok && err == nil
}

// literal reports whether the pattern stands for nothing but itself.
func (g Glob) literal() bool { return !strings.ContainsAny(string(g), `*?[\`) }

func matchAny(globs []Glob, source string) bool {
	for _, g := range globs {
		if g.match(source) {
			return true
		}
	}
	return false
}
