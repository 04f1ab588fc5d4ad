package collector

import (
	"strings"

	"golang.org/x/net/publicsuffix"
)

// Maximum lengths of a DNS name and of its parts, in bytes (RFC 1035). A name that is too long for a label value is
// cut at its start, because its end says more.
const (
	maxNameBytes = 253
	maxPartBytes = 63
)

// serverName returns a TLS server name in lower case and without a trailing dot. It returns _invalid for an IP
// address, which clients must not send (RFC 6066), and for anything that cannot be the name of a host.
// Underscores are allowed, except in the last part, because names with them are in use.
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

// isNumber reports whether the last part of a name is a number, which makes the name an IPv4 address in one of its
// notations (WHATWG URL Standard, "ends in a number").
func isNumber(part string) bool {
	if strings.HasPrefix(part, "0x") {
		return strings.Trim(part[2:], "0123456789abcdef") == ""
	}
	return strings.Trim(part, "0123456789") == ""
}

// tail returns the end of a name that fits into a label value, from the start of a part.
func tail(name string) string {
	if len(name) <= maxLabelBytes {
		return name
	}
	name = name[len(name)-maxLabelBytes:]
	return strings.Clone(name[strings.IndexByte(name, '.')+1:])
}

// registeredDomain returns the registered domain of a name by the public suffix list, or the name itself if it
// has none, such as "localhost".
func registeredDomain(name string) string {
	domain, err := publicsuffix.EffectiveTLDPlusOne(name)
	if err != nil {
		return name
	}
	return domain
}
