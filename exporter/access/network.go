package access

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/gaissmai/bart"

	"smithproxy_exporter/exporter/event"
)

// Network is a network, or a single address. Host bits are zero.
type Network netip.Prefix

// UnmarshalText parses a CIDR or an address.
func (n *Network) UnmarshalText(text []byte) error {
	p, err := parseNetwork(string(text))
	if err != nil {
		return err
	}
	*n = Network(p)
	return nil
}

// String returns the network in CIDR notation.
func (n Network) String() string { return netip.Prefix(n).String() }

// Networks are a compiled list of networks, safe for concurrent use.
type Networks struct {
	few  []netip.Prefix
	many *bart.Lite // nil when they are few
}

// fewNetworks is the number of networks up to which a linear search is as fast as a trie.
const fewNetworks = 8

// NewNetworks compiles a list.
func NewNetworks(list []Network) Networks {
	var n Networks
	if len(list) > fewNetworks {
		n.many = new(bart.Lite)
		for _, p := range list {
			n.many.Insert(netip.Prefix(p))
		}
		return n
	}
	for _, p := range list {
		n.few = append(n.few, netip.Prefix(p))
	}
	return n
}

// Contains reports whether an address is in one of the networks. An invalid one is in none.
func (n *Networks) Contains(addr netip.Addr) bool {
	if n.many != nil {
		return n.many.Contains(addr)
	}
	for _, p := range n.few {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

var errZone = errors.New("must not have a zone, which is valid on one host only")

// mappedBits is the length of the prefix ::ffff:0:0/96 of IPv4 addresses in IPv6.
const mappedBits = 96

// parseNetwork parses a CIDR or an address. It does not allocate unless it fails: lists can have a million networks, and
// are read while requests are answered.
func parseNetwork(text string) (netip.Prefix, error) {
	if strings.IndexByte(text, '/') < 0 {
		addr, err := netip.ParseAddr(text)
		switch {
		case err != nil:
			return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a CIDR", text)
		case addr.Zone() != "":
			return netip.Prefix{}, fmt.Errorf("%q: %w", text, errZone)
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a CIDR", text)
	}
	if p.Addr().Is4In6() && p.Bits() >= mappedBits {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits)
	}
	return p.Masked(), nil
}

// address returns the IP address of a side of the session. It is invalid if the side is unknown or its host is not an
// address. An IPv4 address in IPv6 form is returned as IPv4.
func address(e event.Endpoint) netip.Addr {
	addr, ok := e.Addr()
	if !ok {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}
