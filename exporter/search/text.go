package search

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// caseRule is whether upper and lower case differ.
type caseRule bool

const (
	sameCase caseRule = false
	foldCase caseRule = true
)

// pattern is a text in which * stands for any text.
type pattern struct {
	parts []string // between the asterisks; one for a text without any
	fold  caseRule
}

type patterns []pattern

// newPattern parses a pattern. A literal one has no wildcards.
func newPattern(text string, literal bool, fold caseRule) pattern {
	if fold {
		text = lower(text)
	}
	if literal {
		return pattern{[]string{text}, fold}
	}
	return pattern{strings.Split(text, "*"), fold}
}

// exact returns the only text that matches, "" if there are several.
func (p *pattern) exact() string {
	if len(p.parts) == 1 && !bool(p.fold) {
		return p.parts[0]
	}
	return ""
}

func (ps patterns) match(text string) bool {
	for i := range ps {
		if ps[i].matches(text) {
			return true
		}
	}
	return false
}

// matches compares without allocating. An absent value, "", matches nothing.
func (p *pattern) matches(text string) bool {
	if len(p.parts) == 0 || text == "" {
		return false
	}
	first, last := p.parts[0], p.parts[len(p.parts)-1]
	if len(p.parts) == 1 {
		return len(text) == len(first) && p.hasPrefix(text, first)
	}
	if len(text) < len(first)+len(last) || !p.hasPrefix(text, first) || !p.hasPrefix(text[len(text)-len(last):], last) {
		return false
	}
	text = text[len(first) : len(text)-len(last)]
	for _, part := range p.parts[1 : len(p.parts)-1] {
		i := p.index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return true
}

func (p *pattern) hasPrefix(text, prefix string) bool {
	if !p.fold {
		return strings.HasPrefix(text, prefix)
	}
	return hasLowerPrefix(text, prefix)
}

func (p *pattern) index(text, part string) int {
	if !p.fold {
		return strings.Index(text, part)
	}
	return indexLower(text, part)
}

// contains reports whether a text has a part, which is in lower case.
func contains(text, part string) bool { return indexLower(text, part) >= 0 }

func indexLower(text, part string) int {
	for i := 0; i+len(part) <= len(text); i++ {
		if hasLowerPrefix(text[i:], part) {
			return i
		}
	}
	return -1
}

// hasLowerPrefix reports whether a text begins with a prefix, which is in lower case.
func hasLowerPrefix(text, prefix string) bool {
	if len(text) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if lowerByte(text[i]) != prefix[i] {
			return false
		}
	}
	return true
}

// lowerByte is for ASCII: names of hosts have no other letters, and requests escape them.
func lowerByte(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func lower(text string) string {
	b := []byte(text)
	for i, c := range b {
		b[i] = lowerByte(c)
	}
	return string(b)
}

// sizeUnits are the units of a size, which are compared in lower case.
var sizeUnits = map[string]float64{
	"": 1, "b": 1, "k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9, "gb": 1e9, "t": 1e12, "tb": 1e12,
	"ki": 1 << 10, "kib": 1 << 10, "mi": 1 << 20, "mib": 1 << 20, "gi": 1 << 30, "gib": 1 << 30, "ti": 1 << 40, "tib": 1 << 40,
}

// parseSize parses a number of bytes.
func parseSize(text string) (uint64, error) {
	number := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	unit, ok := sizeUnits[lower(text[len(number):])]
	value, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || !(value >= 0) || value*unit >= math.MaxInt64 || strings.ContainsAny(number, "eExX_+") {
		return 0, fmt.Errorf("%q is not a size such as 500, 10kB, 1.5MB or 1GiB", text)
	}
	return uint64(value * unit), nil
}

// maxDuration bounds durations: ten years.
const maxDuration = 10 * 365 * 24 * time.Hour

// parseDuration parses a duration: units d and w, and those of time.ParseDuration, each once.
func parseDuration(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is not a duration such as 90s, 15m, 1h30m or 2d", text)
	total, rest := time.Duration(0), text
	for _, unit := range []struct {
		name string
		d    time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		number, after, found := strings.Cut(rest, unit.name)
		if !found {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil || time.Duration(n)*unit.d > maxDuration {
			return 0, wrong
		}
		total, rest = total+time.Duration(n)*unit.d, after
	}
	if rest != "" || total == 0 && text == "" {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 || rest[0] == '+' || rest[0] == '-' {
			return 0, wrong
		}
		total += d
	}
	if total > maxDuration {
		return 0, wrong
	}
	return total, nil
}
