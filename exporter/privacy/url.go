package privacy

import "strings"

// What stands for user information and for a value. The first is OpenTelemetry's, without the @.
const (
	redactedUser = "REDACTED:REDACTED"
	redacted     = "REDACTED"
)

// redact returns a URL without user information and without the values of sensitive parameters.
//
// The text is chosen by clients and often no valid URL, so it is not parsed as one. One pass finds what a lenient
// parser could take for a credential: <user>@ after //, <user>:<password>@ anywhere, and <name>=<value> anywhere,
// also in the path, in a fragment, and in URLs that are the percent-encoded values of parameters. If in doubt, more
// is replaced. The result is the text with parts of it replaced by markers.
func (p *Policy) redact(text string) string {
	if isPlain(text) {
		return text
	}
	s := scan{text: text}
	for s.next < len(text) {
		at := s.next
		if !special[text[at]] {
			s.next++
			continue
		}
		c, size, depth := decode(text, at)
		s.next += size
		switch c {
		case '/':
			s.begin(c)
			if slash, size, _ := decode(text, s.next); slash == '/' {
				s.next += size
				s.begin(c)
				s.authority(depth)
			}
		case '?', '#':
			s.query = true
			s.begin(c)
		case '&', ';', ',', ' ', '\t', '\n', '\r', '"', '\'', '<', '>', '(', ')', '{', '}', '|':
			s.begin(c)
		case '=':
			if p.isSensitive(text[s.name:at]) {
				s.replace(s.next, s.valueEnd(depth), redacted)
			}
			s.begin(c)
		case ':':
			s.name, s.colon = s.next, true
		case '@':
			if s.colon {
				s.replace(s.user, at, redactedUser)
			}
			s.begin(c)
		}
	}
	return s.result()
}

// special are the characters that redact looks at.
var special = func() (table [256]bool) {
	for _, c := range []byte("%/?#&;, \t\n\r\"'<>(){}|=:@") {
		table[c] = true
	}
	return table
}()

// isPlain reports whether a text has neither parameters nor user information: most have none.
func isPlain(text string) bool {
	if strings.IndexByte(text, '=') >= 0 || strings.IndexByte(text, '@') >= 0 || strings.IndexByte(text, '%') >= 0 {
		return false
	}
	// What follows a second colon is a port, or a password without its @.
	slashes := strings.Index(text, "//")
	return slashes < 0 || strings.IndexByte(text[slashes:], ':') < 0
}

// scan is the state of redact.
type scan struct {
	text string
	next int // not read yet
	name int // where the name of a parameter would begin
	user int // where <user>:<password>@ would begin
	// colon is set if there is a colon after user. delimiter is in front of name. query is set behind the path.
	colon, query bool
	delimiter    byte
	// out is the result up to done.
	out  []byte
	done int
}

// begin notes that what follows is not part of what was before.
func (s *scan) begin(delimiter byte) {
	s.name, s.user, s.colon, s.delimiter = s.next, s.next, false, delimiter
}

// replace puts a marker in place of text[from:to], and goes on after it.
func (s *scan) replace(from, to int, marker string) {
	if s.out == nil {
		s.out = make([]byte, 0, len(s.text)+len(marker))
	}
	s.out = append(s.out, s.text[s.done:from]...)
	s.out = append(s.out, marker...)
	s.done, s.next = to, max(s.next, to)
}

func (s *scan) result() string {
	if s.out == nil {
		return s.text
	}
	return string(append(s.out, s.text[s.done:]...))
}

// valueEnd is the end of a value that begins at next, in a parameter that is percent-encoded depth times: the next &.
// By the grammar a # ends a value, too, but clients send secrets with # in them as they are. A parameter of the path
// ends at the query.
func (s *scan) valueEnd(depth int) int {
	inPath := !s.query && (s.delimiter == ';' || s.delimiter == '/')
	for i := s.next; i < len(s.text); {
		c, size, d := decode(s.text, i)
		if d <= depth && (c == '&' || inPath && c == '?') {
			return i
		}
		i += size
	}
	return len(s.text)
}

// authority replaces the user information of the authority that begins at next, if it has any.
func (s *scan) authority(depth int) {
	end, at := s.next, -1
	for end < len(s.text) {
		c, size, d := decode(s.text, end)
		if d <= depth && (c == '/' || c == '?' || c == '#' || s.query && (c == '&' || c == ' ')) {
			break
		}
		if c == '@' {
			at = end
		}
		end += size
	}
	switch {
	case at >= 0:
		s.replace(s.next, at, redactedUser)
	case !isHostPort(s.text[s.next:end]):
		// A password with a / in it, or a URL that the proxy has cut before the @.
		if at = strings.LastIndexByte(s.text[end:], '@'); at >= 0 {
			s.replace(s.next, end+at, redactedUser)
			return
		}
		s.replace(s.next, end, redactedUser+"@")
		s.begin('@')
	}
}

// isHostPort reports whether an authority without an @ can be nothing but <host> or <host>:<port>.
func isHostPort(authority string) bool {
	if strings.HasPrefix(authority, "[") {
		_, port, ok := strings.Cut(authority, "]")
		return ok && (port == "" || port[0] == ':' && isPort(port[1:]))
	}
	colon := strings.IndexByte(authority, ':')
	switch {
	case colon < 0:
		return true
	case isPort(authority[colon+1:]):
		return true
	default:
		return strings.Trim(authority, "0123456789abcdefABCDEF:.") == "" // IPv6 without brackets
	}
}

// isPort accepts the empty port as well.
func isPort(text string) bool {
	return len(text) <= len("65535") && strings.Trim(text, "0123456789") == ""
}

// maxDepth is how many times a character can be percent-encoded to be recognised.
const maxDepth = 3

// decode returns the character at text[i] after percent-decoding, its length in text, and how many times it is
// encoded: %2F is once, %252F twice. A % that encodes nothing stands for itself. Behind the end the length is 0.
func decode(text string, i int) (c byte, size, depth int) {
	if i >= len(text) {
		return 0, 0, 0
	}
	if text[i] != '%' {
		return text[i], 1, 0
	}
	for depth, j := 1, i+1; depth <= maxDepth && j+1 < len(text); depth, j = depth+1, j+2 {
		high, low := hexDigit(text[j]), hexDigit(text[j+1])
		if high < 0 || low < 0 {
			break
		}
		if c := byte(high<<4 | low); c != '%' || j+3 >= len(text) || hexDigit(text[j+2]) < 0 || hexDigit(text[j+3]) < 0 {
			return c, j + 2 - i, depth
		}
	}
	return '%', 1, 0
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	default:
		return -1
	}
}

// origin returns scheme, host and port of an absolute URL; "" for a text that is none.
func origin(text string) string {
	slashes := strings.Index(text, "://")
	if slashes <= 0 || strings.Trim(text[:slashes], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.") != "" {
		return ""
	}
	start := slashes + len("://")
	authority := text[start:]
	if end := strings.IndexAny(authority, "/?#"); end >= 0 {
		authority = authority[:end]
	}
	host := authority[strings.LastIndexByte(authority, '@')+1:]
	if host == "" || !isHostPort(host) || strings.ContainsFunc(host, notOfHost) {
		return ""
	}
	return text[:start] + host
}

// notOfHost reports whether a character is in no host name and no address. Names that are not ASCII are sent as they
// are by some clients.
func notOfHost(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r > 0x7f:
		return false
	default:
		return !strings.ContainsRune("-._:[]", r)
	}
}
