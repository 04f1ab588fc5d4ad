package collector

import (
	"strings"

	"golang.org/x/net/publicsuffix"
)

// The longest name and label of the DNS, in bytes (RFC 1035). A name that is longer than a label value
// may be is cut in front, for its end says more.
const (
	maxNameBytes = 253
	maxPartBytes = 63
)

// serverName returns a TLS server name in lower case and without the dot at its end, or _invalid: for an
// IP address, which no client must send (RFC 6066), and for what cannot be the name of a host.
// Underscores are let in, for they are found in names that work, but not in the last part.
func serverName(sni string) string {
	name := strings.ToLower(strings.TrimSuffix(sni, "."))
	if name == "" || len(name) > maxNameBytes {
		return invalid
	}
	begin := 0
	for i := range len(name) + 1 {
		if i < len(name) && name[i] != '.' {
			if !inName(name[i]) {
				return invalid
			}
			continue
		}
		part := name[begin:i]
		if part == "" || len(part) > maxPartBytes || part[0] == '-' || part[len(part)-1] == '-' {
			return invalid
		}
		begin = i + 1
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	if isNumber(last) || strings.Contains(last, "_") {
		return invalid
	}
	return tail(name)
}

func inName(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// isNumber reports whether the last part of a name is a number, as only in an IPv4 address, in all the
// ways in which those are written (WHATWG URL Standard, "ends in a number").
func isNumber(part string) bool {
	if strings.HasPrefix(part, "0x") {
		return strings.Trim(part[2:], "0123456789abcdef") == ""
	}
	return strings.Trim(part, "0123456789") == ""
}

// tail is the end of a name, from the beginning of a part, that a label value can hold.
func tail(name string) string {
	if len(name) <= maxLabelBytes {
		return name
	}
	name = name[len(name)-maxLabelBytes:]
	return strings.Clone(name[strings.IndexByte(name, '.')+1:])
}

// registeredDomain is the domain that somebody registered to have the name, by the public suffix list;
// the name itself when nobody did, as of "localhost".
func registeredDomain(name string) string {
	domain, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		return name
	}
	return domain
}
